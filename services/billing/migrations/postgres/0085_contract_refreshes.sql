-- Recomputations are jobs like any other, in the table `jobs`.
DROP TABLE usage_refresh_jobs;
DROP TABLE usage_refreshes;
