-- Old hours are found without a look at the others.
CREATE INDEX call_stats_hour ON call_stats (hour);
