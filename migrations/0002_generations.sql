-- Generations that change: what a model is said to be, which generations a collection keeps beside
-- the serving one, and which vectors are missing for them.

ALTER TABLE models ADD COLUMN state TEXT NOT NULL DEFAULT 'imported'
    CHECK (state IN ('candidate', 'refused', 'imported'));
ALTER TABLE models ADD COLUMN parent TEXT NOT NULL DEFAULT '';    -- an id, also of one that is gone
ALTER TABLE models ADD COLUMN lineage TEXT NOT NULL DEFAULT '{}';
ALTER TABLE models ADD COLUMN measures TEXT NOT NULL DEFAULT '{}';

-- What a rollback goes to, and what the collection is changing to. A generation that none of the
-- three columns names is swept: its pictures are put into `unused`, and then it is removed.
ALTER TABLE collections ADD COLUMN retained_generation INTEGER REFERENCES generations (key);
ALTER TABLE collections ADD COLUMN coming_generation INTEGER REFERENCES generations (key);
ALTER TABLE generations ADD COLUMN swept INTEGER NOT NULL DEFAULT 0; -- pictures up to this key are

-- Which models a picture needs vectors of. `unused` lists pictures that may have lost a need: the
-- writer removes vectors that no need names, and pictures without an image.
CREATE VIEW needs (picture, collection, model) AS
    SELECT i.picture, c.key, g.model
    FROM images i
    JOIN collections c ON c.key = i.collection AND c.name IS NOT NULL
    JOIN generations g
        ON g.key IN (c.serving_generation, c.retained_generation, c.coming_generation);

-- Vectors that are needed and not there. May name needs that are gone, until the picture is swept.
CREATE TABLE missing (
    model   INTEGER NOT NULL,
    picture INTEGER NOT NULL,
    PRIMARY KEY (model, picture)
) STRICT, WITHOUT ROWID;

CREATE INDEX vectors_by_model ON vectors (model, picture);
