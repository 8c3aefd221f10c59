import SASL
import Testing

@Suite struct LoginThrottleTests {
    private let address = "192.0.2.1"

    @Test("The delay doubles with each failure, up to the bound")
    func growth() {
        var throttle = LoginThrottle()
        #expect(throttle.delay(address: address, account: "alice", now: .zero) == .zero)
        let delays = (0..<8).map { _ in throttle.failed(address: address, account: "alice", now: .zero) }
        #expect(delays == [1, 2, 4, 8, 16, 30, 30, 30].map { .seconds($0) })
    }

    @Test("An address is slowed whatever account it tries, and an account whoever tries it")
    func both() {
        var throttle = LoginThrottle()
        for number in 0..<3 {
            _ = throttle.failed(address: address, account: "user\(number)", now: .zero)
            _ = throttle.failed(address: "198.51.100.\(number)", account: "alice", now: .zero)
        }
        #expect(throttle.delay(address: address, account: "bob", now: .zero) == .seconds(4))
        #expect(throttle.delay(address: "203.0.113.1", account: "alice", now: .zero) == .seconds(4))
        #expect(throttle.delay(address: "203.0.113.1", account: "ALICE", now: .zero) == .seconds(4))
        #expect(throttle.delay(address: "203.0.113.1", account: "bob", now: .zero) == .zero)
    }

    @Test("Failures are forgotten one by one as time goes by")
    func decay() {
        var throttle = LoginThrottle()
        for _ in 0..<3 { _ = throttle.failed(address: address, account: "alice", now: .seconds(100)) }
        let delays = [100, 159, 160, 220, 280, 10_000].map {
            throttle.delay(address: address, account: "alice", now: .seconds($0))
        }
        #expect(delays == [4, 4, 2, 1, 0, 0].map { .seconds($0) })
    }

    @Test("A clock that went back forgets nothing and breaks nothing")
    func clockBack() {
        var throttle = LoginThrottle()
        _ = throttle.failed(address: address, account: "alice", now: .seconds(100))
        #expect(throttle.delay(address: address, account: "alice", now: .seconds(-100)) == .seconds(1))
        #expect(throttle.delay(address: address, account: "alice", now: .seconds(Int64.max / 4)) == .zero)
    }

    @Test("A log-in that works clears the account, and not the address")
    func success() {
        var throttle = LoginThrottle()
        _ = throttle.failed(address: address, account: "alice", now: .zero)
        throttle.succeeded(account: "alice")
        #expect(throttle.delay(address: "203.0.113.1", account: "alice", now: .zero) == .zero)
        #expect(throttle.delay(address: address, account: "alice", now: .zero) == .seconds(1))
    }

    @Test("An IPv6 client is its /64, and an IPv4 client is itself, also on an IPv6 socket")
    func addresses() {
        var throttle = LoginThrottle()
        _ = throttle.failed(address: "2001:db8:1:2::1", account: "x", now: .zero)
        _ = throttle.failed(address: "192.0.2.9", account: "x", now: .zero)
        throttle.succeeded(account: "x")
        func delay(_ address: String) -> Duration { throttle.delay(address: address, account: "y", now: .zero) }
        #expect(delay("2001:db8:1:2:ffff::7") == .seconds(1))
        #expect(delay("2001:0db8:0001:0002::2%eth0") == .seconds(1))
        #expect(delay("2001:db8:1:3::1") == .zero)
        #expect(delay("192.0.2.9") == .seconds(1))
        #expect(delay("::ffff:192.0.2.9") == .seconds(1))
        #expect(delay("192.0.2.10") == .zero)
        #expect(delay("") == .zero)
        #expect(delay("/run/hauberk.sock") == .zero)
    }

    @Test("A flood of addresses and accounts stays within the bound, and does not clear whoever goes on")
    func bound() {
        var throttle = LoginThrottle(settings: LoginThrottle.Settings(entriesMax: 100))
        var last = Duration.zero
        for number in 0..<10_000 {
            last = throttle.failed(address: address, account: "user\(number)", now: .zero)
            _ = throttle.failed(address: "10.0.\(number / 250).\(number % 250)", account: "flood\(number)", now: .zero)
            #expect(throttle.entryCount <= 100)
        }
        #expect(last == .seconds(30))
    }
}
