CREATE DATABASE memcached;
CREATE TABLE memcached.user (id INT PRIMARY KEY, name VARCHAR(20), bio TEXT CHARACTER SET utf8mb4);
INSERT INTO memcached.user VALUES
    (1, 'Trond', 'Trond spends his evenings in front of the computer... bla bla'),
    (2, 'Ada', 'two lines:\nnotes,\tand a program'),
    (3, 'Grace', '"smörgåsbord", 世界 🗒, C:\\new\\N'),
    (4, 'Lin', NULL);
CREATE DATABASE shop;
CREATE TABLE shop.user AS SELECT * FROM memcached.user;
CREATE TABLE shop.photo (id INT PRIMARY KEY, image BLOB);
INSERT INTO shop.photo VALUES (1, x'89504e470d0a1a0a00'), (2, x''), (3, NULL);
