CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT, bio TEXT);
INSERT INTO user VALUES
    (1, 'Trond', 'Trond spends his evenings in front of the computer... bla bla'),
    (2, 'Ada', 'two lines:' || char(10) || 'notes,' || char(9) || 'and a program'),
    (3, 'Grace', '"smörgåsbord", 世界 🗒, C:\new\N'),
    (4, 'Lin', NULL);
CREATE TABLE photo (id INTEGER PRIMARY KEY, image BLOB);
INSERT INTO photo VALUES (1, x'89504e470d0a1a0a00'), (2, x''), (3, NULL);
