import Mail

/// Where the recipients of one transaction lead: an alias leads to several mailboxes, two addresses may lead to one.
/// Each mailbox gets the message once.
struct RecipientRoutes {
    private let countMax: Int
    /// For each recipient accepted lately, its destinations. A transaction that was reset leaves its own in front.
    private var accepted: [[Destination]] = []
    /// For each recipient of the message, which destinations are its own.
    private var routes: [[Int]] = []
    /// The message's destinations, each mailbox once.
    private(set) var destinations: [Destination] = []

    init(countMax: Int) {
        self.countMax = countMax
    }

    /// The most mailboxes that the recipients of one message may lead to, all aliases followed.
    static let destinationsMax = 5_000

    /// False if the recipients lead to too many mailboxes.
    mutating func add(_ destinations: [Destination]) -> Bool {
        guard accepted.reduce(destinations.count, { $0 + $1.count }) <= Self.destinationsMax else { return false }
        if accepted.count >= countMax { accepted.removeFirst(accepted.count - countMax + 1) }
        accepted.append(destinations)
        return true
    }

    /// The message begins: its recipients are the last `count` accepted.
    mutating func begin(count: Int) {
        var places: [MailboxName: Int] = [:]
        destinations = []
        routes = accepted.suffix(count).map { wanted in
            wanted.map { destination in
                if let place = places[destination.mailbox] { return place }
                places[destination.mailbox] = destinations.count
                destinations.append(destination)
                return destinations.count - 1
            }
        }
        accepted = []
    }

    /// One verdict for each recipient; in SMTP, which has one answer to DATA, one for all of them.
    func replies(_ verdicts: [Verdict], isLMTP: Bool) -> [Verdict] {
        let each = routes.map { route in Self.worst(route.map { verdicts[$0] }) }
        return isLMTP ? each : [Self.worst(each)]
    }

    /// The same verdict for every recipient.
    func replies(_ verdict: Verdict, isLMTP: Bool) -> [Verdict] {
        isLMTP ? Array(repeating: verdict, count: routes.count) : [verdict]
    }

    /// Accepted only if all are. A deferral counts before a refusal: what can be tried again is not given up.
    private static func worst(_ verdicts: [Verdict]) -> Verdict {
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
