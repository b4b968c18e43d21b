"""The lane: the studio's listening port, and a straight way through it for requests to S3.

Most of what an object store is asked is of one kind: a signed request for a bucket or an object, of which HTTP
leaves no doubt where it ends. Such a request is decided here, in the process that has the connection, and its
body goes from the client's socket to the store's and back without another program between. Everything else
(other services, pages, websockets, gRPC, forms, chunked bodies, and whatever looks odd) is passed on to the edge
byte for byte, and so is the rest of that connection: the edge treats it as if it had come to it at once.

    head         what a request's or an answer's head says; None where the lane is not meant
    sockets      waiting, receiving, sending, splicing
    store_pool   connections to the store that are kept
    way          one request's way to the store and back
    foresight    the store looks for an object while its read is being decided
    entry        what the store's filer says of a plain object, and the answer that follows
    straight     plain objects past the store's S3: from its filer and its volumes
    pieces       a body's pieces on their way out of the volumes
    connection   one client's connection: request by request, or handed on
    server       the process
"""
