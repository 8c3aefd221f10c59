import NIOCore

/// What carries a connection's bytes: a socket, or a stream of a connection that several share.
enum Transport {
    case channel(any Channel)
    case stream(ConnectionStream)
}
