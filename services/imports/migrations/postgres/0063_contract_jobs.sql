-- The jobs of this service are rows of the engine's table.
DROP TABLE import_jobs;
