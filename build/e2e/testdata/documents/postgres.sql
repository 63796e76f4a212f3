CREATE DATABASE shop;
\connect shop
CREATE TABLE users (id INT PRIMARY KEY, bio TEXT, ttl INT);
INSERT INTO users VALUES
    (1, 'Trond spends his evenings in front of the computer... bla bla', 3600),
    (2, E'two lines:\nnotes,\tand a program', 0),
    (3, 'smörgåsbord, 世界, C:\bugs', 60),
    (4, NULL, 0);
