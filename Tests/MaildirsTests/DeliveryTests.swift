import Cluster
import Foundation
import Mail
import Testing

@testable import Maildirs

/// Delivery: what lies on disk after it, and what is said.
@Suite(.timeLimit(.minutes(5))) struct DeliveryTests {
    private let body = "From: a\r\nSubject: b\r\n\r\nHello\r\n"

    @Test("A message lies in new/ with its header, LF line ends, exact sizes and its sums in its name, and mode 0600")
    func layout() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(await store.deliver(body, .numbered(1)) == [.success(.stored)])
        store.shutdown()
        let text = "Return-Path: <s@example.test>\nDelivered-To: alice@example.test\nFrom: a\nSubject: b\n\nHello\n"
        let wire = text.utf8.count + 6
        let checksum = String(StableHash.xxh64(text), radix: 16)
        let digits = String(repeating: "0", count: 16 - checksum.count) + checksum
        let name = "\(MessageIdentity.numbered(1).text),S=\(text.utf8.count),W=\(wire),C=\(digits)"
        #expect(folder.names(.alice, "new") == [name])
        #expect(try folder.text(.alice, "new/\(name)") == text)
        #expect(folder.names(.alice, ".") == ["cur", "gone", "new", "tmp"])
        #expect(folder.names(.alice, "tmp") == [])
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(.alice, "new/\(name)"))
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(attributes[.referenceCount] as? Int == 1)
        let mode = try FileManager.default.attributesOfItem(atPath: folder.path(.alice, "new"))[.posixPermissions]
        #expect(mode as? Int == 0o700)
    }

    @Test("The umask decides no mode")
    func umaskIndependence() async {
        await #expect(processExitsWith: .success) {
            umask(0o777)
            let folder = try TestFolder()
            let store = try folder.store()
            #expect(await store.deliver("x\r\n", .numbered(1)) == [.success(.stored)])
            for (part, wanted) in [("new", 0o700), ("tmp", 0o700), ("gone", 0o700), ("../../..", 0o700)] {
                let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(.alice, part))
                #expect(attributes[.posixPermissions] as? Int == wanted)
            }
            for name in folder.names(.alice, "new") {
                let attributes = try FileManager.default.attributesOfItem(atPath: folder.path(.alice, "new/\(name)"))
                #expect(attributes[.posixPermissions] as? Int == 0o600)
            }
        }
    }

    @Test("Each recipient's copy has its own header, small or spilled", arguments: [100, 1_000_000])
    func severalRecipients(octets: Int) async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let mailboxes = [MailboxName.alice, .bob, .named("carol")]
        let writer = store.writer(identity: .numbered(1), mayBeRepeat: false, recipients: mailboxes.map { .to($0) })
        var wire = ""
        while wire.utf8.count < octets {
            let line = "Line at \(wire.utf8.count)\r\n"
            wire += line
            writer.append(line)
            if writer.wantsFlush { #expect(await writer.flush() == nil) }
        }
        #expect(writer.octets.wire == wire.utf8.count)
        #expect(await writer.commit() == Array(repeating: .success(.stored), count: 3))
        let disk = wire.replacingOccurrences(of: "\r\n", with: "\n")
        for mailbox in mailboxes {
            let snapshot = try await store.list(mailbox)
            #expect(snapshot.count == 1)
            let text = String(decoding: DeliveryRecipient.to(mailbox).header, as: UTF8.self) + disk
            #expect(try await store.text(0, of: snapshot) == text)
            #expect(snapshot.octets == text.replacingOccurrences(of: "\n", with: "\r\n").utf8.count)
        }
        store.shutdown()
        for mailbox in mailboxes { #expect(folder.names(mailbox, "tmp") == []) }
    }

    @Test("A message without bytes is a message")
    func empty() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let recipient = DeliveryRecipient(mailbox: .alice, partition: 3, header: [])
        let writer = store.writer(identity: .numbered(1), mayBeRepeat: false, recipients: [recipient])
        #expect(await writer.commit() == [.success(.stored)])
        let snapshot = try await store.list()
        #expect(snapshot.octets(at: 0) == 0)
        #expect(try await store.text(0, of: snapshot)?.isEmpty == true)
    }

    @Test("What is discarded or dropped leaves nothing behind", arguments: [true, false])
    func discarded(explicitly: Bool) async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        do {
            let writer = store.writer(identity: .numbered(1), mayBeRepeat: false, recipients: [.to(.alice)])
            writer.append(String(repeating: "x\r\n", count: 100_000))
            #expect(writer.wantsFlush)
            #expect(await writer.flush() == nil)
            #expect(folder.names(.alice, "tmp").count == 1)
            if explicitly { writer.discard() }
        }
        store.shutdown()
        #expect(folder.names(.alice, "tmp") == [])
        #expect(folder.names(.alice, "new") == [])
    }

    @Test("A name that is taken is not written again, and its file stays as it was")
    func taken() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(body, .numbered(1))
        let path = folder.path(.alice, "new/\(folder.names(.alice, "new")[0])")
        let before = try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int
        #expect(await store.deliver(body, .numbered(1)) == [.success(.alreadyThere)])
        store.shutdown()
        #expect(folder.names(.alice, "new").count == 1)
        #expect(try FileManager.default.attributesOfItem(atPath: path)[.systemFileNumber] as? Int == before)
        #expect(folder.names(.alice, "tmp") == [])
    }

    @Test("A repeat is recognised in new/, flagged in cur/, and after its deletion")
    func repeats() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(await store.deliver(body, .numbered(1), mayBeRepeat: true) == [.success(.stored)])
        let name = folder.names(.alice, "new")[0]
        let longer = body + "more\r\n"
        #expect(await store.deliver(longer, .numbered(1), mayBeRepeat: true) == [.success(.alreadyThere)])
        try folder.move(.alice, from: "new/\(name)", to: "cur/\(name):2,S")
        #expect(await store.deliver(longer, .numbered(1), mayBeRepeat: true) == [.success(.alreadyThere)])
        let snapshot = try await store.list()
        #expect(try await store.delete([0], of: snapshot).failures == 0)
        #expect(await store.deliver(longer, .numbered(1), mayBeRepeat: true) == [.success(.alreadyThere)])
        #expect(folder.names(.alice, "new") + folder.names(.alice, "cur") == [])
        // An identity that another one begins with is not that one.
        let other = MessageIdentity(MessageIdentity.numbered(1).text.dropLast())
        #expect(await store.deliver(longer, try #require(other), mayBeRepeat: true) == [.success(.stored)])
    }

    @Test("A large repeat is recognised for one recipient, and stored for the others")
    func spilledRepeat() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(body, .numbered(1))
        let writer = store.writer(identity: .numbered(1), mayBeRepeat: true, recipients: [.to(.alice), .to(.bob)])
        writer.append(String(repeating: "long\r\n", count: 50_000))
        #expect(await writer.flush() == nil)
        #expect(await writer.commit() == [.success(.alreadyThere), .success(.stored)])
        store.shutdown()
        #expect(folder.names(.alice, "new").count == 1)
        #expect(folder.names(.alice, "tmp") == [])
        #expect(folder.names(.bob, "new").count == 1)
    }

    @Test("A mailbox that an operator moved away is made anew, not followed")
    func movedMailbox() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(body, .numbered(1))
        try folder.move(.alice, from: "", to: "../moved")
        #expect(await store.deliver(body, .numbered(2)) == [.success(.stored)])
        #expect(folder.names(.alice, "new").count == 1)
        try FileManager.default.removeItem(atPath: folder.path(.alice, "../moved"))
        try FileManager.default.removeItem(atPath: folder.path(.alice, ""))
        #expect(await store.deliver(body, .numbered(3)) == [.success(.stored)])
        try FileManager.default.removeItem(atPath: folder.path(.alice, "tmp"))
        #expect(await store.deliver(body, .numbered(4)) == [.success(.stored)])
        try FileManager.default.removeItem(atPath: folder.path(.alice, "new"))
        #expect(await store.deliver(body, .numbered(5)) == [.success(.stored)])
    }

    @Test("A symbolic link in a mailbox's place is refused; the other recipients get their copies")
    func symbolicLink() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(body, .numbered(1), to: [.bob])
        try FileManager.default.createSymbolicLink(
            atPath: String(folder.path(.alice, "").dropLast()), withDestinationPath: folder.path(.bob, ""))
        let outcomes = await store.deliver(body, .numbered(2), to: [.alice, .bob])
        #expect(outcomes[1] == .success(.stored))
        guard case .failure = outcomes[0] else {
            Issue.record("delivered through a symbolic link")
            return
        }
        let writer = store.writer(identity: .numbered(3), mayBeRepeat: false, recipients: [.to(.alice), .to(.bob)])
        writer.append(String(repeating: "long\r\n", count: 50_000))
        #expect(await writer.flush() == nil)
        #expect(await writer.commit()[1] == .success(.stored))
    }

    @Test("Shutting down finishes what was begun, and refuses the rest")
    func shutdown() async throws {
        let folder = try TestFolder()
        let store = try folder.store(threads: 1)
        async let outcomes = withTaskGroup(of: [Outcome].self) { group in
            for number in 0..<50 { group.addTask { await store.deliver(body, .numbered(number)) } }
            return await group.reduce(into: []) { $0 += $1 }
        }
        let late = store.writer(identity: .numbered(99), mayBeRepeat: false, recipients: [.to(.alice)])
        let all = await outcomes
        store.shutdown()
        #expect(all.filter { $0 == .success(.stored) }.count == 50)
        #expect(await late.commit() == [.failure(.shutDown)])
        await #expect(throws: MaildirError.shutDown) { try await store.list() }
    }
}
