package import Mail

/// Where the recipients of one transaction lead: an alias leads to several mailboxes, two addresses may lead to one.
/// Each mailbox gets the message once.
package struct RecipientRoutes: Sendable {
    private var transaction: SMTPTransactionID?
    /// For each recipient accepted, its destinations.
    private var accepted: [[Destination]] = []
    /// For each recipient of the message, which destinations are its own.
    private var routes: [[Int]] = []
    /// For each recipient that does not get the message whatever becomes of it, why.
    private var refused: [Int: Verdict] = [:]
    /// The message's destinations, each mailbox once.
    package private(set) var destinations: [Destination] = []

    package init() {}

    /// Who the message goes to, as a log tells it: a few addresses, and how many more there are.
    package var summary: String {
        let few = destinations.prefix(Self.summaryMax).map(\.address.description).joined(separator: " ")
        let rest = destinations.count - Self.summaryMax
        return rest > 0 ? "\(few) and \(rest) more" : few
    }

    private static let summaryMax = 5

    /// The most mailboxes that the recipients of one message may lead to, all aliases followed.
    package static let destinationsMax = 5_000

    /// Takes one recipient's destinations; those of an earlier transaction are forgotten.
    ///
    /// - Returns: false if the recipients lead to too many mailboxes.
    package mutating func add(_ destinations: [Destination], of transaction: SMTPTransactionID) -> Bool {
        if self.transaction != transaction {
            self.transaction = transaction
            accepted = []
        }
        guard accepted.reduce(destinations.count, { $0 + $1.count }) <= Self.destinationsMax else { return false }
        accepted.append(destinations)
        return true
    }

    /// Takes a recipient elsewhere: a queue of its relay gets the message.
    ///
    /// - Parameter first: the number of the queue that is best; where another recipient has it, the next free one does.
    /// - Returns: false if every queue has a recipient of this message already.
    package mutating func add(
        _ address: EmailAddress, relay: String, first: Int, of transaction: SMTPTransactionID
    ) -> Bool {
        var taken: [MailboxName: EmailAddress] = [:]
        if self.transaction == transaction {
            for other in accepted.joined() { taken[other.mailbox] = other.address }
        }
        for step in 0..<RelayQueue.count {
            let queue = RelayQueue(relay: relay, number: (first + step) % RelayQueue.count).mailbox
            guard (taken[queue] ?? address) == address else { continue }
            return add([Destination(mailbox: queue, address: address)], of: transaction)
        }
        return false
    }

    /// The message begins.
    package mutating func begin() {
        refused = [:]
        route()
    }

    private mutating func route() {
        // Most messages go to one mailbox.
        if accepted.count == 1, accepted[0].count == 1, refused.isEmpty {
            destinations = accepted[0]
            routes = [[0]]
            return
        }
        var places: [MailboxName: Int] = [:]
        destinations = []
        routes = accepted.enumerated().map { index, wanted in
            guard refused[index] == nil else { return [] }
            return wanted.map { destination in
                if let place = places[destination.mailbox] { return place }
                places[destination.mailbox] = destinations.count
                destinations.append(destination)
                return destinations.count - 1
            }
        }
    }

    /// Leaves out the recipients that lead to where the message has been before; the others keep theirs.
    ///
    /// - Returns: the first address that is in a loop, if there is any.
    package mutating func refuseLoops(_ header: HeaderScanner.Findings) -> EmailAddress? {
        var first: EmailAddress?
        for (index, wanted) in accepted.enumerated() where refused[index] == nil {
            guard let looping = wanted.first(where: { header.wasDelivered(to: "\($0.address)") }) else { continue }
            refused[index] = Self.loop(looping.address)
            first = first ?? looping.address
        }
        if first != nil { route() }
        return first
    }

    package static func loop(_ address: EmailAddress) -> Verdict {
        .refused(Reason(554, "5.4.6", "mail loop: this message was delivered to \(address) before"))
    }

    /// One verdict for each recipient; in SMTP, which has one answer to DATA, one for all of them.
    package func replies(_ verdicts: [Verdict], isLMTP: Bool) -> [Verdict] {
        let each = routes.enumerated().map { index, route in
            refused[index] ?? Self.worst(route.map { verdicts[$0] })
        }
        return isLMTP ? each : [Self.worst(each)]
    }

    /// The same verdict for every recipient.
    package func replies(_ verdict: Verdict, isLMTP: Bool) -> [Verdict] {
        isLMTP ? Array(repeating: verdict, count: routes.count) : [verdict]
    }

    /// Accepted only if all are. A deferral counts before a refusal: what can be tried again is not given up.
    package static func worst(_ verdicts: [Verdict]) -> Verdict {
        var worst = Verdict.accepted
        for verdict in verdicts {
            switch verdict {
            case .accepted: continue
            case .refused: worst = verdict
            case .deferred: return verdict
            }
        }
        return worst
    }
}
