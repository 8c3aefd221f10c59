import SASL
import Testing

/// A throttle, its clock, and clients that log in at one moment.
private struct Guesser {
    var throttle: LoginThrottle
    var now = Duration.zero

    init(_ change: (inout LoginThrottle.Settings) -> Void = { _ in }) {
        var settings = LoginThrottle.Settings()
        change(&settings)
        throttle = LoginThrottle(settings: settings)
    }

    /// Takes a place; nil if it is refused.
    mutating func begin(_ address: String, _ account: String) -> (attempt: LoginThrottle.Attempt, delay: Duration)? {
        guard case .admitted(let attempt, let delay) = throttle.begin(address: address, account: account, now: now)
        else { return nil }
        return (attempt, delay)
    }

    /// Waits for its turn and ends; says how long it waited, in seconds.
    @discardableResult
    mutating func logIn(_ address: String, _ account: String, _ outcome: LoginThrottle.Outcome) -> Double? {
        guard let (attempt, delay) = begin(address, account) else { return nil }
        now += delay
        throttle.end(attempt, outcome, now: now)
        return delay / .seconds(1)
    }

    /// How long a log-in that began now would wait.
    func delay(_ address: String, _ account: String) -> Double? {
        var copy = self
        return copy.logIn(address, account, .unknown)
    }
}

@Suite struct LoginThrottleTests {
    private let address = "192.0.2.1"

    @Test("A log-in that need not wait can begin at once; one that must leaves no trace")
    func atOnce() throws {
        var guesser = Guesser()
        func begins(_ address: String, _ account: String) -> Bool {
            guesser.throttle.beginAtOnce(address: address, account: account, now: guesser.now) != nil
        }
        #expect(begins(address, "alice"))
        guesser.logIn(address, "alice", .wrong)
        let delay = guesser.delay(address, "alice")
        for _ in 0..<5 {
            #expect(!begins(address, "alice"))
            #expect(!begins(address, "bob"))
            #expect(!begins("192.0.2.2", "alice"))
        }
        #expect(delay == 1)
        #expect(guesser.delay(address, "alice") == delay)
        #expect(begins("192.0.2.2", "bob"))
    }

    @Test("The distance doubles with each failure, up to the bound")
    func growth() {
        var guesser = Guesser()
        let delays = (0..<9).map { _ in guesser.logIn(address, "alice", .wrong) }
        #expect(delays == [0, 1, 2, 4, 8, 16, 30, 30, 30])
    }

    @Test("Who comes back after the distance is over waits for nothing")
    func lateComer() {
        var guesser = Guesser()
        for _ in 0..<3 { guesser.logIn(address, "alice", .wrong) }
        guesser.now += .seconds(3)
        #expect(guesser.delay(address, "alice") == 1)
        guesser.now += .seconds(1)
        #expect(guesser.delay(address, "alice") == 0)
    }

    @Test("Guesses at the same moment wait one behind the other, and those that would wait too long are refused")
    func parallel() {
        var guesser = Guesser { $0.parallelPerAccount = 1000 }
        guesser.logIn(address, "alice", .wrong)
        let delays = (0..<200).map { _ in guesser.begin(address, "alice")?.delay }
        #expect(delays.prefix(30) == (1...30).map { .seconds($0) }[...])
        #expect(delays.dropFirst(30).allSatisfy { $0 == nil })
    }

    @Test("A refused guess takes no place: the line is as long as before it")
    func refusedTakesNoPlace() {
        var guesser = Guesser()
        guesser.logIn(address, "alice", .wrong)
        for _ in 0..<200 { _ = guesser.begin(address, "alice") }
        guesser.now += .seconds(1)
        #expect(guesser.begin(address, "alice")?.delay == .seconds(30))
    }

    @Test("Many guesses at once at an account without failures count as failures beyond the first few")
    func parallelWithoutFailures() {
        var guesser = Guesser { $0.parallelPerAccount = 4 }
        let delays = (0..<200).map { guesser.begin("192.0.2.\($0)", "alice")?.delay }
        #expect(delays.prefix(9).map { $0 } == [0, 0, 0, 0, 0, 1, 3, 7, 15].map { .seconds($0) })
        #expect(delays.dropFirst(9).allSatisfy { $0 == nil })
        #expect(guesser.delay("192.0.2.250", "bob") == 0)
    }

    @Test("Many log-ins one after the other are not many at once")
    func sequential() {
        var guesser = Guesser { ($0.parallelPerAccount, $0.parallelPerAddress) = (1, 1) }
        for outcome in [LoginThrottle.Outcome.right, .unknown, .right, .unknown, .unknown] {
            #expect(guesser.logIn(address, "alice", outcome) == 0)
        }
    }

    @Test("An address is slowed whatever account it tries, and an account whoever tries it")
    func both() {
        var guesser = Guesser()
        for number in 0..<3 {
            guesser.logIn(address, "user\(number)", .wrong)
            guesser.logIn("198.51.100.\(number)", "alice", .wrong)
        }
        let known = guesser.delay("203.0.113.1", "bob")
        #expect(known == 0)
        #expect(guesser.delay(address, "bob") ?? 0 > 0)
        #expect(guesser.delay("203.0.113.1", "alice") == 4)
    }

    @Test("Failures are forgotten one by one as time goes by")
    func decay() {
        for (pause, next) in [(40, 8), (60, 4), (120, 2), (180, 1), (10_000, 1)] {
            var guesser = Guesser()
            for _ in 0..<3 { guesser.logIn(address, "alice", .wrong) }
            guesser.now += .seconds(pause)
            #expect(guesser.logIn(address, "alice", .wrong) == 0)
            #expect(guesser.delay(address, "alice") == Double(next), "after \(pause) s")
        }
    }

    @Test("A clock that went back or jumped breaks nothing")
    func clock() {
        var guesser = Guesser()
        guesser.now = .seconds(100)
        guesser.logIn(address, "alice", .wrong)
        guesser.now = .seconds(-100)
        #expect(guesser.delay(address, "alice") == nil)
        guesser.now = .seconds(Int64.max / 4)
        #expect(guesser.delay(address, "alice") == 0)
    }

    @Test("A log-in that works clears the account, and not the address")
    func success() {
        var guesser = Guesser()
        for _ in 0..<2 { guesser.logIn(address, "alice", .wrong) }
        guesser.logIn(address, "alice", .right)
        #expect(guesser.delay("203.0.113.1", "alice") == 0)
        #expect(guesser.delay(address, "bob") ?? 0 > 0)
    }

    @Test("A log-in whose outcome nobody learned changes nothing")
    func unknown() {
        var guesser = Guesser()
        for _ in 0..<50 { #expect(guesser.logIn(address, "alice", .unknown) == 0) }
    }

    @Test("Where an account logged in lately it is not slowed by failures from elsewhere", arguments: ["9", "77"])
    func known(host: String) {
        var guesser = Guesser()
        guesser.logIn("198.51.100.9", "alice", .right)
        for _ in 0..<9 { guesser.logIn(address, "alice", .wrong) }
        #expect(guesser.delay("203.0.113.1", "alice") == 30)
        #expect(guesser.delay("198.51.100.\(host)", "alice") == 0)
        #expect(guesser.delay("198.51.100.\(host)", "bob") == 0)
        for _ in 0..<5 { #expect(guesser.logIn("198.51.100.\(host)", "alice", .right) == 0) }
        #expect(guesser.delay("203.0.113.1", "alice") ?? 30 > 1, "its own success frees no stranger")
        guesser.now += .seconds(8 * 24 * 3600)
        for _ in 0..<9 { guesser.logIn(address, "alice", .wrong) }
        #expect(guesser.delay("198.51.100.\(host)", "alice") == 30)
    }

    @Test("An address from where an account logged in is slowed by its own failures")
    func knownAddress() {
        var guesser = Guesser()
        guesser.logIn(address, "alice", .right)
        let delays = (0..<4).map { _ in guesser.logIn(address, "alice", .wrong) }
        #expect(delays == [0, 1, 2, 4])
        #expect(guesser.delay("203.0.113.1", "alice") == 8)
    }

    @Test("An IPv6 client is its /64, and an IPv4 client is itself, also on an IPv6 socket")
    func addresses() {
        var guesser = Guesser()
        for address in ["2001:db8:1:2::1", "192.0.2.9"] {
            let attempt = guesser.begin(address, "x \(address)")?.attempt
            if let attempt { guesser.throttle.end(attempt, .wrong, now: .zero) }
        }
        func delay(_ address: String) -> Double? { guesser.delay(address, "y") }
        #expect(delay("2001:db8:1:2:ffff::7") == 1)
        #expect(delay("2001:0db8:0001:0002::2%eth0") == 1)
        #expect(delay("2001:db8:1:3::1") == 0)
        #expect(delay("192.0.2.9") == 1)
        #expect(delay("::ffff:192.0.2.9") == 1)
        #expect(delay("192.0.2.10") == 0)
        #expect(delay("") == 0)
        #expect(delay("/run/hauberk.sock") == 0)
    }

    @Test("A flood of addresses and accounts stays within the bound, and does not clear whoever goes on")
    func bound() {
        var guesser = Guesser { $0.entriesMax = 100 }
        var last: Double?
        for number in 0..<3_000 {
            last = guesser.logIn(address, "user\(number)", .wrong)
            let flood = guesser.begin("10.0.\(number / 250).\(number % 250)", "flood\(number)")?.attempt
            if let flood { guesser.throttle.end(flood, number % 2 == 0 ? .wrong : .right, now: guesser.now) }
            #expect(guesser.throttle.entryCount <= 100)
        }
        #expect(last == 30)
    }
}
