import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// Listings: each message once, in one order everywhere, with exact sizes.
@Suite(.timeLimit(.minutes(5))) struct ListingTests {
    @Test("A mailbox that nothing was delivered to is empty, and listing does not make it")
    func nothing() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(try await store.list().count == 0)
        #expect(!FileManager.default.fileExists(atPath: "\(folder.root)/mail"))
    }

    @Test("By seconds as numbers, then micros, then name; names without a time come last")
    func order() async throws {
        let folder = try TestFolder()
        let names = ["99.M7P1.h", "1000.M2P1.h", "1000.M10P1.a", "1000.M10P1.b", "1000.P1.h", "abc", "zeta"]
        for (index, name) in names.shuffled().enumerated() {
            try folder.put("x\n", in: .alice, index % 2 == 0 ? "new" : "cur", named: name)
        }
        let snapshot = try await folder.store().list()
        #expect(
            snapshot.uidls == ["99.M7P1.h", "1000.P1.h", "1000.M2P1.h", "1000.M10P1.a", "1000.M10P1.b", "abc", "zeta"])
    }

    @Test("A UIDL is the identity, or a digest of a name that cannot be one; always 1 to 70 printable characters")
    func uidls() async throws {
        let folder = try TestFolder()
        for name in ["1.P1.h,S=2:2,S", "2." + String(repeating: "x", count: 90), "3 with space", "4.ü.h"] {
            try folder.put("x\n", in: .alice, "cur", named: name)
        }
        let snapshot = try await folder.store().list()
        #expect(snapshot.count == 4)
        #expect(snapshot[0].uidl == "1.P1.h")
        #expect(snapshot[0].fileName == Array("1.P1.h,S=2:2,S".utf8))
        for uidl in snapshot.uidls {
            #expect((1...70).contains(uidl.utf8.count))
            #expect(uidl.utf8.allSatisfy { (0x21...0x7E).contains($0) })
        }
        #expect(Set(snapshot.uidls).count == 4)
        #expect(snapshot.uidls.filter { $0.hasPrefix("h") && $0.count == 33 }.count == 3)
    }

    @Test(
        "Octets are W= of a name of our own form, and else what POP3 would send, whatever the name says",
        arguments: [
            ("1.h", "a\nb\n", 6), ("1.h,S=4", "a\nb\n", 6), ("1.h,W=77", "a\nb\n", 6), ("1.h,S=4,W=77:2,S", "a\n", 3),
            ("9999999999.x.y,W=5", String(repeating: "b", count: 24), 26),
            ("1700000000.M5P1Q1R1f.mx,S=40,W=41:2,S", "", 41), ("1700000000.M5P1Q1R1f.mx,S=4,W=77", "a\n", 3),
            ("1700000000.M5P1Q1.mx,S=4,W=5", "a\n", 3), ("1700000000.M5P1Q1R1f.mx,W=5", "a\n", 3),
            ("1.h,W=x", "a", 3), ("1.h,W=99999999999999999999", "a\r\nb\r\n", 6), ("1.h:2,W=5", "", 0),
            ("1.h,W=", "a", 3),
            ("1.h,W=5x", "a\n", 3),
        ])
    func octets(name: String, text: String, octets: Int) async throws {
        let folder = try TestFolder()
        try folder.put(text, in: .alice, "new", named: name)
        let store = try folder.store()
        let snapshot = try await store.list()
        #expect(snapshot.octets(at: 0) == octets)
        #expect(snapshot.octets == octets)
        #expect(try await store.text(0, of: snapshot) == text)
    }

    @Test("What cannot be a message is left out: hidden files, folders, links, FIFOs, names with control characters")
    func oddities() async throws {
        let folder = try TestFolder()
        try folder.put("x\n", in: .alice, "new", named: "1.h")
        try folder.put("x\n", in: .alice, "new", named: ".hidden")
        try folder.put("x\n", in: .alice, "new", named: ",S=1")
        try folder.put("x\n", in: .alice, "new", named: "2.a\nb")
        try folder.put("x\n", in: .alice, "new/3.folder", named: "file")
        try FileManager.default.createSymbolicLink(
            atPath: folder.path(.alice, "new/4.link"), withDestinationPath: "/etc/passwd")
        mkfifo(folder.path(.alice, "new/5.fifo"), 0o600)
        let store = try folder.store()
        #expect(try await store.list().uidls == ["1.h"])
        #expect(store.skippedNames == 1)
    }

    @Test("A name that is no text is listed, read and deleted by its bytes")
    func bytesThatAreNoText() async throws {
        let folder = try TestFolder()
        try folder.put("x\n", in: .alice, "new", named: "placeholder")
        let odd = Array(folder.path(.alice, "new/1.").utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0]
        #expect(rename(folder.path(.alice, "new/placeholder"), odd) == 0)
        let store = try folder.store()
        let snapshot = try await store.list()
        #expect(snapshot.count == 1)
        #expect(try await store.text(0, of: snapshot) == "x\n")
        #expect(try await store.delete([0], of: snapshot).failures == 0)
        #expect(try await store.list().count == 0)
    }

    @Test("A file that the disk does not give is listed with its size on disk, and only its own reading fails")
    func unreadableFile() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        for name in ["1.h", "2.h", "3.h"] { try folder.put("x\ny\n", in: .alice, "new", named: name) }
        faults.set { step, name in step == .read && name == "new/2.h" ? .fail(EIO) : nil }
        var snapshot = try await store.list()
        #expect(snapshot.uidls == ["1.h", "2.h", "3.h"])
        #expect((0..<3).map { snapshot.octets(at: $0) } == [6, 4, 6])
        #expect(try await store.text(0, of: snapshot) == "x\ny\n")
        await #expect(throws: MaildirError.self) { try await store.reader(1, of: snapshot) }
        try await Task.sleep(for: .milliseconds(100))
        _ = try await store.list()
        faults.set(nil)
        snapshot = try await store.list()
        #expect(snapshot.octets(at: 1) == 6)
    }

    @Test("A foreign stem that cannot be an identity and a copy under its hash are one message")
    func hashedCopy() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        try folder.put("x\n", in: .alice, "cur", named: "2.with space:2,S")
        let uidl = try await store.list().uidl(at: 0)
        try folder.put("x\n", in: .alice, "new", named: "\(uidl),S=2,W=3")
        try folder.put("x\n", in: .alice, "new", named: "zeta")
        let snapshot = try await store.list()
        #expect(snapshot.uidls == [uidl, "zeta"])
        #expect(
            await store.deliver("x\r\n", try #require(MessageIdentity(uidl)), mayBeRepeat: true) == [
                .success(.alreadyThere)
            ])
        #expect(try await store.delete([0], of: snapshot).failures == 0)
        #expect(try await store.list().uidls == ["zeta"])
        #expect(folder.names(.alice, "cur") + folder.names(.alice, "new") == ["zeta"])
    }

    @Test("A message with two names, as in the middle of a move, is listed once")
    func twoNames() async throws {
        let folder = try TestFolder()
        try folder.put("x\n", in: .alice, "new", named: "1.h,S=2,W=3")
        try folder.put("x\n", in: .alice, "cur", named: "1.h,S=2,W=3:2,S")
        try folder.put("x\n", in: .alice, "cur", named: "1.h,S=2,W=3:2,RS")
        try folder.put("x\n", in: .alice, "cur", named: "1.h,S=2,W=3:2,FS")
        let snapshot = try await folder.store().list()
        #expect(snapshot.uidls == ["1.h"])
        #expect(snapshot[0].isInCur)
        // Of two that are equal otherwise the greater name, so that replicas show the same.
        #expect(snapshot[0].fileName == Array("1.h,S=2,W=3:2,S".utf8))
    }

    @Test("Messages that a tool flags and moves all the time are in every listing, and can be read")
    func renames() async throws {
        let folder = try TestFolder()
        for number in 0..<40 { try folder.put("\(number)\n", in: .alice, "cur", named: "\(number).h,W=4:2,") }
        let isOver = Mutex(false)
        let base = folder.path(.alice, "")
        async let renaming: Void = withCheckedContinuation { (waiting: CheckedContinuation<Void, Never>) in
            DispatchQueue.global().async {
                var round = 0
                while !isOver.withLock({ $0 }) {
                    round += 1
                    let number = round % 40
                    for (from, to) in [
                        ("cur/\(number).h,W=4:2,", "cur/\(number).h,W=4:2,S"),
                        ("cur/\(number).h,W=4:2,S", "cur/\(number).h,W=4:2,"),
                    ] {
                        rename(base + from, base + to)
                        usleep(50)
                    }
                }
                waiting.resume()
            }
        }
        defer { isOver.withLock { $0 = true } }
        let store = try folder.store()
        for _ in 0..<50 {
            let snapshot = try await store.list()
            #expect(snapshot.uidls == (0..<40).map { "\($0).h" })
            let index = Int.random(in: 0..<40)
            #expect(try await store.text(index, of: snapshot) == "\(index)\n")
        }
        isOver.withLock { $0 = true }
        await renaming
    }

    @Test(
        "Names are listed as they are, whatever fields stand in them",
        arguments: [
            ",S=1,W=2", ",S=1,W=2:2,S", ",S=1,W=2,C=0123456789abcdef", ",S=1,W=2,C=0123456789abcdef:2,FS",
            ",S=1,W=2,C=0123456789abcdef,D=AAECAwQFBgcICQoLDA0ODw",
            ",S=1,W=2,C=0123456789abcdef,D=AAECAwQFBgcICQoLDA0ODw:2,S",
            ",S=1,W=2,C=0123456789abcdef,D=AAECAwQFBgcICQoLDA0ODw,X=1:2,S", ",S=01,W=02,C=0123456789abcdef",
            ",S=1,W=2,C=0123456789abcdex", ",S=1,W=2,C=,D=AAECAwQFBgcICQoLDA0ODw",
            ",S=1,W=2,C=0123456789abcdef,D=AAECAwQFBgcICQoLDA0OD",
            ",S=1099511627000,W=1099511627000,C=0123456789abcdef",
        ])
    func verbatim(tail: String) async throws {
        let folder = try TestFolder()
        let name = MessageIdentity.numbered(1).text + tail
        try folder.put("x", in: .alice, "cur", named: name)
        let snapshot = try await folder.store().list()
        #expect(snapshot.uidls == [MessageIdentity.numbered(1).text])
        #expect(snapshot[0].fileName == Array(name.utf8))
        #expect(snapshot.octets == (tail.contains("1099511627000") ? 1_099_511_627_000 : 2))
    }

    @Test("A hundred thousand messages cost at most 100 bytes each, with or without sums in their names")
    func memory() async throws {
        let folder = try TestFolder()
        for number in 0..<2000 {
            let identity = MessageIdentity(
                seconds: 1_700_000_000, micros: Int32(number), process: 12345, counter: UInt64(number), random: .max,
                origin: "frontend1")
            let digest = ContentDigest(high: UInt64(number), low: .max)
            let sums = number % 8 == 0 ? "" : ",C=0123456789abcdef,D=\(digest)"
            try folder.put("", in: .alice, "new", named: "\(identity.text),S=12345,W=12399\(sums)")
        }
        let snapshot = try await folder.store().list()
        #expect(snapshot.count == 2000)
        #expect(snapshot.bytes <= 2000 * 100 + 512)
    }
}
