import CoreMetrics
import Hops
import Logging
import Maildirs
import NIOCore
import POP3
import Wire

/// Reading ahead: while a client retrieves its messages one after another, the next ones are on their way to its
/// frontend before it asks.
extension POP3NodeConversation {
    func noted(_ connection: Connection, _ note: ByteBuffer) {
        guard ahead != nil, maildrop != nil, let deeds = Deed.all(in: note), deeds.allSatisfy(take) else {
            log.warning("the frontend broke the rules of reading ahead")
            return connection.abort()
        }
        connection.madeProgress()
        guard !isWaiting else { return }
        readAhead(connection)
        endRound()
    }

    private func take(_ deed: Deed) -> Bool {
        switch deed {
        case .retrieved(let number):
            node.metrics.messagesRetrieved.increment()
            ahead?.given(through: Int(number) - 1)
            return session.retrievedAhead(Int(number))
        case .deleted(let number):
            return session.deletedAhead(Int(number))
        }
    }

    /// Sends what the frontend has room for, once all that the client said is answered.
    func readAhead(_ connection: Connection) {
        guard let maildrop, ahead != nil, connection.isOpen, connection.isWritable else { return }
        ahead?.turn(to: session.retrievalTurns, next: session.nextRetrieval)
        while let position = ahead?.next, connection.isWritable {
            guard maildrop.octets(at: position) < ahead?.room ?? 0 else { break }
            // What takes a disk or a server to read waits until it is asked for: it may never be.
            guard let comparison = comparison(position, maildrop),
                let reader = readCached(position, of: maildrop, comparing: comparison)
            else {
                ahead?.stop()
                break
            }
            send(reader, position, connection)
        }
        sendWord(connection)
        connection.flush()
    }

    /// What the frontend has ahead is of use only while it knows that nothing is owed.
    private func sendWord(_ connection: Connection) {
        guard let window = ahead, window.owesWord, connection.isWritable else { return }
        ahead?.gaveWord()
        var note = ByteBufferAllocator().buffer(capacity: AnswerNote.headBytes)
        AnswerNote.begin(heard: window.heard, in: &note)
        connection.send(note: note)
    }

    /// Sends a whole answer, if it is there in one piece and fits; if not, the client will ask.
    private func send(_ reader: MessageReader, _ position: Int, _ connection: Connection) {
        defer { reader.close() }
        guard let maildrop, let window = ahead, case .success(let piece)? = reader.ready(), piece.count == reader.size
        else {
            ahead?.stop()
            return
        }
        var encoder = POP3MessageEncoder()
        let head = POP3Answers.retrieval(octets: maildrop.octets(at: position))
        var note = ByteBufferAllocator().buffer(
            capacity: AnswerNote.headBytes + head.count + encoder.roomBytes(for: piece))
        AnswerNote.begin(heard: window.heard, number: UInt32(position + 1), in: &note)
        note.writeBytes(head)
        encoder.encode(piece, into: &note)
        encoder.finish(into: &note)
        let octets = note.readableBytes - AnswerNote.headBytes
        guard octets <= window.room else {
            ahead?.stop()
            return
        }
        connection.send(note: note)
        ahead?.sent(position, octets: octets, next: session.firstKept(from: position + 1))
    }
}
