-- Run by PostgreSQL when its volume is new.
CREATE TABLE orders (
    id serial PRIMARY KEY,
    email text NOT NULL,
    total numeric NOT NULL,
    status text NOT NULL DEFAULT 'open',
    -- For tracking tokens: a job that writes its HERALD_TOKEN here joins what it does to what made it run.
    updated_by text
);
INSERT INTO orders (email, total) VALUES ('ada@example.com', 49.90), ('grace@example.com', 120);
