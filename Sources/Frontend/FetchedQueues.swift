import Hops
import Logging
import Mail
import Membership
import NIOCore
import POP3
import SMTP

/// The messages of some relays' queues, one after the other, as a client fetches them. Each is read from a node, and the node
/// is told what became of it.
final class FetchedQueues {
    struct Message {
        let envelope: QueuedEnvelope
        /// With CRLF line ends, without the envelope.
        let text: ByteBuffer
    }

    private let frontend: FrontendContext
    private let routes: NodeRoutes
    private let eventLoop: any EventLoop
    private let log: Logger
    /// Those that are not opened yet, the next one last.
    private var mailboxes: [MailboxName]
    private var queue: RemoteMaildrop?
    private var count = 0
    private var position = 0

    init(
        of relays: [RelaySettings], frontend: FrontendContext, eventLoop: any EventLoop, log: Logger
    ) {
        self.frontend = frontend
        self.eventLoop = eventLoop
        self.log = log
        routes = frontend.routes
        mailboxes = relays.flatMap { relay in
            (0..<RelayQueue.count).reversed().map { RelayQueue(relay: relay.name, number: $0).mailbox }
        }
    }

    /// Tells the next message; nil if there is none.
    func next(_ then: @escaping (Message?) -> Void) {
        guard let queue, position < count else { return openNext(then) }
        position += 1
        var text = ByteBuffer()
        var isTooLarge = false
        let bytesMax = frontend.queuedBytesMax
        queue.read(position) { piece, _ in
            isTooLarge = isTooLarge || text.readableBytes + piece.count > bytesMax
            if !isTooLarge { text.writeBytes(piece) }
        } then: { [self] result in
            switch result {
            case .failure(.unreachable(let why)):
                skipQueue(why, then)
            case .failure(.refused):
                // Gone meanwhile.
                next(then)
            case .success:
                let head = Array(text.readableBytesView.prefix(Self.headBytesMax))
                guard !isTooLarge, let envelope = QueuedEnvelope(head) else {
                    log.error("cannot be fetched", metadata: ["number": "\(position)"])
                    return next(then)
                }
                text.moveReaderIndex(forwardBy: envelope.byteCount)
                then(Message(envelope: envelope, text: text))
            }
        }
    }

    private static let headBytesMax = 4096

    private func skipQueue(_ why: String, _ then: @escaping (Message?) -> Void) {
        log.warning("a queue cannot be fetched now", metadata: ["reason": "\(why)"])
        queue = nil
        openNext(then)
    }

    private func openNext(_ then: @escaping (Message?) -> Void) {
        queue?.quit()
        queue = nil
        guard let mailbox = mailboxes.popLast(), let owner = routes.owners(of: mailbox).first else { return then(nil) }
        let fresh = RemoteMaildrop(timeout: frontend.answerTimeout)
        fresh.connect(routes.pop3Target(owner), on: eventLoop)
        fresh.ask(.xopen(mailbox, utf8: false, language: nil)) { [self] opened in
            if case .failure(let error) = opened {
                fresh.quit()
                return skipQueue("\(mailbox): \(error)", then)
            }
            fresh.ask(.uidl) { [self] listed in
                guard case .success(let lines) = listed else { return skipQueue("\(mailbox) cannot be listed", then) }
                (queue, count, position) = (fresh, lines.count, 0)
                next(then)
            }
        }
    }

    /// What became of the message that was told last; `then` is called when that is known for good.
    func settle(_ verdict: Verdict, _ then: @escaping () -> Void) {
        guard let queue else { return then() }
        let refusal: String?
        switch verdict {
        case .accepted: refusal = nil
        case .refused(let reason): refusal = String("\(reason)".filter { $0 >= " " }.prefix(Self.reasonMax))
        // It waits for the next time.
        case .deferred: return then()
        }
        queue.ask(.xrelayed(position, refusal: refusal)) { [log] result in
            if case .failure(let error) = result {
                log.error("what became of a fetched message is not known", metadata: ["reason": "\(error)"])
            }
            then()
        }
    }

    /// A command's line has 255 octets (RFC 2449 §4).
    private static let reasonMax = 160

    func close() {
        queue?.quit()
        queue = nil
        mailboxes = []
    }
}
