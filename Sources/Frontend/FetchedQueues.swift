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
        let text: FetchedText
    }

    private let frontend: FrontendContext
    private let routes: NodeRoutes
    private let eventLoop: any EventLoop
    private let log: Logger
    /// Those that are not opened yet, the next one last.
    private var mailboxes: [MailboxName]
    private var queue: RemoteMaildrop?
    /// Octets of each of its messages.
    private var sizes: [Int] = []
    private var position = 0
    /// What the node is sending.
    private var reading: FetchedRead?

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
        guard let queue, position < sizes.count else { return openNext(then) }
        position += 1
        let read = FetchedRead(octets: sizes[position - 1]) { [self] envelope in
            guard let envelope, let reading else {
                log.error("cannot be fetched", metadata: ["number": "\(position)"])
                reading?.discard()
                return next(then)
            }
            then(Message(envelope: envelope, text: FetchedText(reading, on: eventLoop)))
        }
        reading = read
        queue.read(position, sink: read.take) { [self] result in
            let isHeardOf = read.ended(isWhole: (try? result.get()) != nil)
            if reading === read { reading = nil }
            guard !isHeardOf, case .failure(let error) = result else { return }
            switch error {
            case .unreachable(let why): skipQueue(why, then)
            // Gone meanwhile, or damaged: it waits for the next time.
            case .refused: next(then)
            }
        }
    }

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
            fresh.ask(.list) { [self] listed in
                let sizes = (try? listed.get())?.compactMap(Self.size)
                guard let sizes, sizes.count == (try? listed.get())?.count else {
                    fresh.quit()
                    return skipQueue("\(mailbox) cannot be listed", then)
                }
                (queue, self.sizes, position) = (fresh, sizes, 0)
                next(then)
            }
        }
    }

    /// RFC 1939 §5: the number and the octets of a message.
    private static func size(_ line: [UInt8]) -> Int? {
        line.split(separator: UInt8(ascii: " ")).dropFirst().first.flatMap { Int(String(decoding: $0, as: UTF8.self)) }
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
        // The rest of a message would have to be read first.
        if reading == nil { queue?.quit() } else { queue?.abandon() }
        reading = nil
        queue = nil
        mailboxes = []
    }
}
