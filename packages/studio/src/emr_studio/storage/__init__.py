"""The storage room: the embedded object store, S3 at the edge, clients, mirrors of folders, sample data."""
