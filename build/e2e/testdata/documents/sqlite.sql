CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT, bio TEXT);
INSERT INTO user VALUES
    (1, 'Trond', 'Trond spends his evenings in front of the computer... bla bla'),
    (2, 'Ada', 'two lines:' || char(10) || 'notes,' || char(9) || 'and a program'),
    (3, 'Grace', '"smörgåsbord", 世界 🗒, C:\new\N'),
    (4, 'Lin', NULL);
