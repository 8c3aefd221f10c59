import FoundationEssentials
import Testing

@testable import Etcd

@Suite("What answers of etcd mean")
struct EtcdVerdictTests {
    private static func verdict(_ status: Int, _ body: String) -> String {
        switch EtcdVerdict<RangeAnswer>(status: status, body: Array(body.utf8)) {
        case .answered(let answer): "answered \(answer.header?.revision?.value ?? 0) \(answer.kvs?.count ?? 0)"
        case .refused(.refused(let code, let message)): "refused \(code) \(message)"
        case .refused(let error): "refused \(error)"
        case .elsewhere(let reason): "elsewhere \(reason)"
        case .notNow(let reason): "not now \(reason)"
        }
    }

    @Test(
        "An answer, a refusal that every member would repeat, or a member's own trouble",
        arguments: [
            (200, #"{"header":{"revision":"7"},"kvs":[{"key":"L3g="}]}"#, "answered 7 1"),
            (200, #"{"header":{"revision":7}}"#, "answered 7 0"),
            (200, "{}", "answered 0 0"),
            (200, "", "elsewhere an answer that is not etcd's"),
            (200, "<html>", "elsewhere an answer that is not etcd's"),
            (200, #"{"header":{"revision":"9223372036854775808"}}"#, "elsewhere an answer that is not etcd's"),
            (200, #"{"kvs":[{"key":"no base64"}]}"#, "elsewhere an answer that is not etcd's"),
            (200, #"{"kvs":[{}]}"#, "elsewhere an answer that is not etcd's"),
            (
                404, #"{"error":"x","message":"requested lease not found","code":5}"#,
                "refused 5 requested lease not found"
            ),
            (401, #"{"message":"invalid auth token","code":16}"#, "refused 16 invalid auth token"),
            (503, #"{"message":"etcdserver: no leader","code":14}"#, "not now etcdserver: no leader"),
            (504, #"{"message":"","code":4}"#, "not now code 4"),
            (404, "404 page not found", "elsewhere HTTP status 404"),
            (301, "", "elsewhere HTTP status 301"),
        ])
    func verdicts(status: Int, body: String, meaning: String) {
        #expect(Self.verdict(status, body) == meaning)
    }

    @Test("A line of a stream has a result or an error, with its own names")
    func lines() {
        func verdict(_ status: Int, _ line: String) -> String {
            switch EtcdVerdict<LeaseAnswer>(status: status, line: Array(line.utf8)) {
            case .answered(let answer): "answered \(answer.seconds?.value ?? 0)"
            case .refused(let error): "\(error)"
            case .elsewhere(let reason): "elsewhere \(reason)"
            case .notNow(let reason): "not now \(reason)"
            }
        }
        #expect(verdict(200, #"{"result":{"ID":"1","TTL":"10"}}"#) == "answered 10")
        #expect(verdict(200, #"{"result":{"ID":"1"}}"# + "\n") == "answered 0")
        #expect(verdict(200, #"{"error":{"grpc_code":14,"message":"no leader"}}"#) == "not now no leader")
        #expect(verdict(200, #"{"error":{"grpc_code":7,"message":"denied"}}"#) == "etcd refused: denied (code 7)")
        #expect(verdict(200, #"{"error":{}}"#) == "not now code 2")
        #expect(verdict(200, "{}") == "elsewhere an answer without a result")
        #expect(
            verdict(401, #"{"message":"invalid auth token","code":16}"#) == "etcd refused: invalid auth token (code 16)"
        )
    }

    @Test("No answer is nested so deep that it ends the process")
    func nesting() {
        let deep = #"{"kvs":"# + String(repeating: "[", count: 1_000_000)
        #expect(Self.verdict(200, deep) == "elsewhere an answer that is not etcd's")
    }

    @Test("A new login helps against a forgotten token, a missing one and changed rights, and against nothing else")
    func logins() {
        let answers: [(EtcdError, Bool)] = [
            (.refused(code: 16, message: "etcdserver: invalid auth token"), true),
            (.refused(code: 3, message: "etcdserver: user name is empty"), true),
            (.refused(code: 3, message: "etcdserver: revision of auth store is old"), true),
            (.refused(code: 3, message: "etcdserver: authentication failed, invalid user ID or password"), false),
            (.refused(code: 7, message: "etcdserver: permission denied"), false), (.unavailable([]), false),
        ]
        for (error, helps) in answers { #expect(error.asksForLogin == helps, "\(error)") }
    }

    @Test(
        "A prefix ends before the next one",
        arguments: [("/a/", [0x2F, 0x61, 0x30]), ("a", [0x62]), ("", [0]), ("é", [0xC3, 0xAA])] as [(String, [UInt8])])
    func ranges(prefix: String, end: [UInt8]) {
        #expect(Array(EtcdKeyRange(prefix: prefix).end) == end)
    }

    @Test("The member that failed is asked last, whoever finds it out, and however often")
    func rotation() {
        let rotation = EndpointRotation(["a", "b", "c"])
        #expect(rotation.current == "a")
        rotation.failed("a")
        rotation.failed("a")
        #expect(rotation.current == "b")
        rotation.failed("b")
        rotation.failed("c")
        #expect(rotation.current == "a")
    }
}

@Suite("Lines of a stream")
struct LineAssemblerTests {
    @Test("Lines come out as they are, however the octets are cut", arguments: 1...9)
    func cuts(size: Int) throws {
        let text = Array("one\n\ntwo\nthree\nrest".utf8)
        var lines = LineAssembler(lineBytesMax: 5)
        var found: [String] = []
        for start in stride(from: 0, to: text.count, by: size) {
            lines.append(text[start..<min(start + size, text.count)])
            while let line = try lines.next() { found.append(String(decoding: line, as: UTF8.self)) }
        }
        #expect(found == ["one", "", "two", "three"])
        #expect(lines.rest() == Array("rest".utf8))
        #expect(lines.rest() == nil)
    }

    @Test("A line that is too long is an error, with or without its end")
    func bound() throws {
        var whole = LineAssembler(lineBytesMax: 3)
        whole.append(Array("abc\nabcd\n".utf8))
        #expect(try whole.next() == Array("abc".utf8))
        #expect(throws: LineAssembler.LineTooLong.self) { _ = try whole.next() }
        var endless = LineAssembler(lineBytesMax: 3)
        endless.append(Array("abc".utf8))
        #expect(try endless.next() == nil)
        endless.append(Array("d".utf8))
        #expect(throws: LineAssembler.LineTooLong.self) { _ = try endless.next() }
    }
}

@Suite("How far a watch has come")
struct EtcdWatchPositionTests {
    private static func answer(_ text: String) throws -> WatchAnswer {
        try JSONDecoder().decode(WatchAnswer.self, from: Data(text.utf8))
    }

    private static func event(_ revision: Int64) -> String { #"{"kv":{"key":"aw==","mod_revision":"\#(revision)"}}"# }

    @Test("Events are told once, and the next watch begins behind them")
    func events() throws {
        var position = EtcdWatchPosition(after: 4)
        #expect(position.next == 5)
        let created = try Self.answer(#"{"header":{"revision":"9"},"created":true}"#)
        #expect(position.receive(created) == .nothing)
        #expect(position.next == 5)
        let both = try Self.answer(#"{"header":{"revision":"9"},"events":[\#(Self.event(4)),\#(Self.event(6))]}"#)
        #expect(position.receive(both) == .events([EtcdEvent(key: "k", value: [], revision: 6)]))
        #expect(position.next == 7)
        #expect(position.receive(both) == .nothing)
        #expect(position.next == 7)
    }

    @Test("A removal has no value")
    func removal() throws {
        var position = EtcdWatchPosition(after: 0)
        let removal = try Self.answer(#"{"events":[{"type":"DELETE","kv":{"key":"aw==","mod_revision":"1"}}]}"#)
        #expect(position.receive(removal) == .events([EtcdEvent(key: "k", value: nil, revision: 1)]))
    }

    @Test("A sign of progress spares what was seen without an event")
    func progress() throws {
        var position = EtcdWatchPosition(after: 4)
        #expect(position.receive(try Self.answer(#"{"header":{"revision":"20"}}"#)) == .nothing)
        #expect(position.next == 21)
        #expect(position.receive(try Self.answer(#"{"header":{"revision":"10"}}"#)) == .nothing)
        #expect(position.next == 21)
    }

    @Test("Behind a fragment the same revision may go on")
    func fragments() throws {
        var position = EtcdWatchPosition(after: 4)
        let part = try Self.answer(#"{"header":{"revision":"5"},"fragment":true,"events":[\#(Self.event(5))]}"#)
        #expect(position.receive(part) != .nothing)
        #expect(position.next == 5)
        let rest = try Self.answer(#"{"header":{"revision":"5"},"events":[\#(Self.event(5))]}"#)
        #expect(position.receive(rest) != .nothing)
        #expect(position.next == 6)
    }

    @Test("A compaction, an older store and another cluster ask for the keys themselves")
    func rereads() throws {
        var position = EtcdWatchPosition(after: 4, clusterID: "1")
        for text in [
            #"{"header":{"cluster_id":"1"},"canceled":true,"compact_revision":"9"}"#,
            #"{"header":{"cluster_id":"1","revision":"3"},"created":true}"#,
            #"{"header":{"cluster_id":"2","revision":"9"},"created":true}"#,
        ] {
            #expect(position.receive(try Self.answer(text)) == .reread, "\(text)")
        }
        let ended = try Self.answer(#"{"canceled":true,"cancel_reason":"no leader"}"#)
        #expect(position.receive(ended) == .ended("no leader"))
        #expect(position.next == 5)
    }

    @Test("The greatest revision there can be does not end the process")
    func overflow() throws {
        var position = EtcdWatchPosition(after: 4)
        let last = try Self.answer(#"{"events":[\#(Self.event(.max))]}"#)
        #expect(position.receive(last) != .nothing)
        #expect(position.next == .max)
        #expect(EtcdWatchPosition(after: .max).next == .max)
    }
}

@Suite("What a process begins with")
struct MembershipStartTests {
    private static func choice(_ answer: MembershipStart.Answer, cached: String?) -> String {
        let held = cached.flatMap { text in Int(text).map { MembershipSource<Int>.Held(text: text, membership: $0) } }
        return switch MembershipStart.decide(answer, cached: held, Epochs.read) {
        case .take(let held): "etcd \(held.membership)"
        case .takeCached(let held, _, let isError): "cache \(held.membership)\(isError ? " error" : "")"
        case .fail(.absent): "fail absent"
        case .fail(.refused(let why)): "fail refused \(why)"
        case .fail(.unavailable(let why)): "fail unavailable \(why)"
        }
    }

    @Test(
        "etcd's, unless it is older than the cache or wrong; the cache's without it; otherwise the reason",
        arguments: [
            (.text("3"), nil, "etcd 3"), (.text("3"), "2", "etcd 3"), (.text("3"), "3", "etcd 3"),
            (.text("3"), "4", "cache 4 error"), (.text("x"), "4", "cache 4 error"),
            (.text("x"), nil, "fail refused no number"), (.absent, nil, "fail absent"), (.absent, "4", "cache 4 error"),
            (.failed("down"), "4", "cache 4"), (.failed("down"), nil, "fail unavailable down"),
        ] as [(MembershipStart.Answer, String?, String)])
    func choices(answer: MembershipStart.Answer, cached: String?, choice: String) {
        #expect(Self.choice(answer, cached: cached) == choice)
    }

    @Test("Each reason says what to do")
    func advice() {
        let reasons: [(MembershipUnknown.Reason, String)] = [
            (.absent, "hauberk membership init"), (.unavailable("down"), "bring etcd back"), (.refused("why"), "why"),
        ]
        for (reason, advice) in reasons {
            #expect("\(MembershipUnknown(key: "/k", cache: "/c", reason: reason))".contains(advice))
        }
    }
}
