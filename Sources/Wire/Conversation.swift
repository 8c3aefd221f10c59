package import NIOCore

/// What a connection's driver does when something happens on the wire: it feeds a pure session and carries out what
/// the session says.
///
/// A conversation belongs to its connection's event loop: every call comes from there, one at a time. Bytes wait in
/// `Connection.unread` until the conversation takes them; while it leaves `Connection.wantsBytes` false, it is told of
/// none, and no more than one read's worth comes from the peer, which is the whole of the back-pressure.
package protocol Conversation: AnyObject {
    /// The transport is up: the PROXY header has been read and implicit TLS has been agreed on.
    func opened(_ connection: Connection)
    /// `connection.unread` has grown, or its input has ended (`connection.inputEnded`).
    func received(_ connection: Connection)
    /// Output that had piled up has drained: `connection.isWritable` is true again.
    func writable(_ connection: Connection)
    /// TLS that `startTLS` began is up.
    func tlsStarted(_ connection: Connection)
    /// Nothing came for the idle time, or the connection's whole time is over. The conversation ends itself.
    func timedOut(_ connection: Connection, _ timeout: ConnectionTimeout)
    /// The conversation at a stream's other end says something beside the stream (`Connection.send(note:)`). What it said on
    /// the stream before has come, and may still be unread.
    func noted(_ connection: Connection, _ note: ByteBuffer)
    /// The process wants to stop: finish what is under way, and end.
    func draining(_ connection: Connection)
    /// The connection is gone; nothing can be written any more. Said exactly once, also when it never opened.
    func closed(_ reason: ConnectionEnd)
}

/// What only those hear of who asked for it.
extension Conversation {
    /// Who stops writing while `isWritable` is false has to go on here.
    package func writable(_ connection: Connection) {}
    /// Who calls `startTLS` goes on here.
    package func tlsStarted(_ connection: Connection) {}
    /// Both sides agreed on notes.
    package func noted(_ connection: Connection, _ note: ByteBuffer) {}
}

/// Which clock ran out.
package enum ConnectionTimeout: Sendable {
    /// No progress (`Connection.madeProgress`) for the idle time.
    case idle
    /// The connection has lasted as long as any may.
    case total
}

/// How a connection ended.
package enum ConnectionEnd: Sendable {
    /// Either side closed it in good order.
    case closed
    /// It never came up, or broke; the text is for the log.
    case failed(String)
}

/// The times of one connection. Zero means no limit.
package struct ConnectionTimes: Sendable, Equatable {
    package var idle: Duration
    package var total: Duration

    package init(idle: Duration, total: Duration) {
        self.idle = idle
        self.total = total
    }
}
