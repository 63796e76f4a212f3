CREATE DATABASE shop;
\connect shop
CREATE TABLE users (id INT PRIMARY KEY, bio TEXT, ttl INT, photo BYTEA);
INSERT INTO users VALUES
    (1, 'Trond spends his evenings in front of the computer... bla bla', 3600, '\x00010aff5c'),
    (2, E'two lines:\nnotes,\tand a program', 0, '\x89504e470d0a1a0a'),
    (3, '"smörgåsbord", 世界 🗒, C:\new\N', 60, ''),
    (4, NULL, 0, NULL);
