import Foundation
import Mail
import Testing

@testable import Maildirs

/// Copies that are the same for several recipients, and are one file.
@Suite(.timeLimit(.minutes(5))) struct SharedFileTests {
    private let header = "Return-Path: <s@example.test>\n"
    private let mailboxes = [MailboxName.alice, .bob, .named("carol")]

    private func recipient(_ mailbox: MailboxName, sites: SiteSpools = SiteSpools()) -> DeliveryRecipient {
        DeliveryRecipient(mailbox: mailbox, partition: 3, header: Array(header.utf8), sites: sites)
    }

    private func deliver(
        _ store: MaildirStore, octets: Int = 30, mayBeRepeat: Bool = false, to recipients: [DeliveryRecipient]? = nil
    ) async -> (outcomes: [Outcome], text: String) {
        let writer = store.writer(
            identity: .numbered(1), mayBeRepeat: mayBeRepeat, recipients: recipients ?? mailboxes.map { recipient($0) })
        var text = header
        while text.utf8.count < octets {
            let line = "Line at \(text.utf8.count)"
            text += "\(line)\n"
            writer.append("\(line)\r\n")
            if writer.wantsFlush { #expect(await writer.flush() == nil) }
        }
        return (await writer.commit(), text)
    }

    /// The file behind each mailbox's only message.
    private func files(_ folder: TestFolder, _ mailboxes: [MailboxName]) throws -> [(inode: Int?, names: Int?)] {
        try mailboxes.map { mailbox in
            let names = folder.names(mailbox, "new")
            #expect(names.count == 1)
            let path = folder.path(mailbox, "new/\(names.first ?? "")")
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            return (attributes[.systemFileNumber] as? Int, attributes[.referenceCount] as? Int)
        }
    }

    @Test(
        "Recipients whose copies are the same have one file, small or spilled, and nothing stays in tmp/",
        arguments: [30, 1_000_000], [true, false])
    func oneFile(octets: Int, renames: Bool) async throws {
        let folder = try TestFolder()
        let counter = StepCounter()
        let store = try folder.store(faults: counter.plan) { $0.renames = renames }
        let (files, directories) = (counter[.syncFile], counter[.syncDirectory])
        let (outcomes, text) = await deliver(store, octets: octets)
        #expect(outcomes == Array(repeating: .success(.stored), count: 3))
        for mailbox in mailboxes {
            let snapshot = try await store.list(mailbox)
            #expect(try await store.text(0, of: snapshot) == text)
            #expect(snapshot.octets == text.replacingOccurrences(of: "\n", with: "\r\n").utf8.count)
        }
        store.shutdown()
        let found = try self.files(folder, mailboxes)
        #expect(Set(found.map(\.inode)).count == 1)
        #expect(found.map(\.names) == [3, 3, 3])
        #expect(Set(mailboxes.map { folder.names($0, "new") }).count == 1)
        for mailbox in mailboxes { #expect(folder.names(mailbox, "tmp") == []) }
        #expect(counter[.syncFile] - files == 1)
        #expect(counter[.syncDirectory] - directories >= 3)
    }

    @Test("What one recipient deletes, the others keep; what comes again, only those get who have it not")
    func deletion() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let text = await deliver(store).text
        #expect(try await store.delete([0], of: try await store.list(.alice)).failures == 0)
        for mailbox in [MailboxName.bob, .named("carol")] {
            #expect(try await store.text(0, of: try await store.list(mailbox)) == text)
        }
        let dave = MailboxName.named("dave")
        let again = await deliver(store, mayBeRepeat: true, to: (mailboxes + [dave]).map { recipient($0) })
        #expect(again.outcomes == Array(repeating: .success(.alreadyThere), count: 3) + [.success(.stored)])
        store.shutdown()
        #expect(folder.names(.alice, "new") == [])
        #expect(try files(folder, [dave]).map(\.names) == [1])
        for mailbox in mailboxes + [dave] { #expect(folder.names(mailbox, "tmp") == []) }
    }

    @Test("Where the header differs or the text waits in a queue, the file is another")
    func notAlike() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let queue = RelayQueue(relay: "hub", number: 7).mailbox
        let recipients = [recipient(.alice), recipient(.bob), .to(.named("carol")), recipient(queue)]
        let (outcomes, text) = await deliver(store, to: recipients)
        #expect(outcomes == Array(repeating: .success(.stored), count: 4))
        let other = String(decoding: DeliveryRecipient.to(.named("carol")).header, as: UTF8.self)
        #expect(
            try await store.text(0, of: try await store.list(.named("carol"))) == other + text.dropFirst(header.count))
        store.shutdown()
        #expect(try files(folder, [.alice, .bob, .named("carol"), queue]).map(\.names) == [2, 2, 1, 1])
    }

    @Test(
        "A recipient whose mailbox cannot take another name of the file has a copy", arguments: [EMLINK, EXDEV, EPERM])
    func copies(number: Int32) async throws {
        let folder = try TestFolder()
        let links = Tally()
        // The first name is the first recipient's; the others are refused one more, and then take the copy's.
        let store = try folder.store(
            threads: 1,
            faults: FaultPlan { step, name in
                guard step == .link, name != "b", name.contains(",S=") else { return nil }
                return [2, 4].contains(links.next()) ? .fail(number) : nil
            })
        let (outcomes, text) = await deliver(store)
        try #require(outcomes == Array(repeating: .success(.stored), count: 3))
        for mailbox in mailboxes { #expect(try await store.text(0, of: try await store.list(mailbox)) == text) }
        store.shutdown()
        #expect(try files(folder, mailboxes).map(\.names) == [1, 1, 1])
        for mailbox in mailboxes { #expect(folder.names(mailbox, "tmp") == []) }
    }

    @Test("A file that cannot be synced is nobody's, and leaves nothing behind")
    func unsynced() async throws {
        let folder = try TestFolder()
        let fault = FaultSwitch()
        let store = try folder.store(faults: fault.plan)
        fault.set { step, _ in step == .syncFile ? .fail(EIO) : nil }
        for outcome in await deliver(store).outcomes { #expect(throws: MaildirError.self) { try outcome.get() } }
        fault.set(nil)
        store.shutdown()
        for mailbox in mailboxes {
            #expect(folder.names(mailbox, "new") == [])
            #expect(folder.names(mailbox, "tmp") == [])
        }
    }

    @Test("A recipient whose folder cannot be synced is deferred; the others have the message")
    func oneFails() async throws {
        let folder = try TestFolder()
        let fault = FaultSwitch()
        let store = try folder.store(faults: fault.plan)
        let bobs = "\(MailboxFolder(.bob, partition: 3).path)/new"
        fault.set { step, path in step == .syncDirectory && path == bobs ? .fail(EIO) : nil }
        let outcomes = await deliver(store).outcomes
        #expect(outcomes[0] == .success(.stored))
        #expect(throws: MaildirError.self) { try outcomes[1].get() }
        #expect(outcomes[2] == .success(.stored))
        store.shutdown()
        for mailbox in mailboxes { #expect(folder.names(mailbox, "tmp") == []) }
    }

    @Test("Folders that somebody removed are made anew, that of the file too")
    func removedFolders() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(await store.deliver("x\r\n", .numbered(9), to: mailboxes).allSatisfy { $0 == .success(.stored) })
        for mailbox in mailboxes { try FileManager.default.removeItem(atPath: folder.path(mailbox, "")) }
        let outcomes = await deliver(store).outcomes
        #expect(outcomes == Array(repeating: .success(.stored), count: 3))
        store.shutdown()
        #expect(try files(folder, mailboxes).count == 3)
    }

    @Test("A thousand and more recipients are no more names than a file may have")
    func manyNames() async throws {
        let folder = try TestFolder()
        let store = try folder.store(threads: 8)
        let many = (0..<1_005).map { MailboxName.named("u\($0)") }
        let outcomes = await deliver(store, to: many.map { recipient($0) }).outcomes
        #expect(outcomes.allSatisfy { $0 == .success(.stored) })
        store.shutdown()
        let names = try files(folder, many).map { $0.names ?? 0 }
        #expect(names.max() == 1_000)
        #expect(names.count { $0 == 1 } == 5)
    }
}
