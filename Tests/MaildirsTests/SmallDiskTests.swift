import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// On a disk of its own: power cuts and full disks, as the kernel makes them.
@Suite(.serialized, .timeLimit(.minutes(5))) struct SmallDiskTests {
    private static func mailbox(of number: Int) -> MailboxName { .named("user\(number % 40)") }

    private static func label(_ mailbox: MailboxName, _ uidl: String) -> String { "\(mailbox) \(uidl)" }

    /// Everything in the forty mailboxes; each message must be whole.
    private static func everything(on disk: SmallDisk) async throws -> Set<String> {
        let store = try TestFolder(existing: disk.path + "/store").store()
        defer { store.shutdown() }
        var found: Set<String> = []
        for number in 0..<40 {
            let snapshot = try await store.list(mailbox(of: number))
            for index in 0..<snapshot.count {
                found.insert(label(snapshot.mailbox, snapshot.uidl(at: index)))
                let text = try await store.text(index, of: snapshot)
                #expect(text?.replacingOccurrences(of: "\n", with: "\r\n").utf8.count == snapshot.octets(at: index))
            }
        }
        return found
    }

    /// Delivers from many tasks, and cuts the power in the middle. What was acknowledged.
    private static func deliverUntilPowerCut(_ disk: SmallDisk) async throws -> Set<String> {
        let tally = Tally()
        let store = try TestFolder(existing: disk.path + "/store").store(
            threads: 8,
            faults: FaultPlan { step, _ in
                if step == .link, tally.next() == 200 { #expect(throws: Never.self) { try disk.cutPower() } }
                return nil
            })
        defer { store.shutdown() }
        return await withTaskGroup(of: String?.self) { group in
            for number in 0..<400 {
                group.addTask {
                    let mailbox = mailbox(of: number)
                    let outcome = await store.deliver("\(number)\r\n", .numbered(number), to: [mailbox])
                    guard outcome == [.success(.stored)] else { return nil }
                    return label(mailbox, MessageIdentity.numbered(number).text)
                }
            }
            return await group.reduce(into: []) { if let label = $1 { $0.insert(label) } }
        }
    }

    @Test("Power cut: what was acknowledged is there afterwards, whole, also in mailboxes made just before")
    func powerCutDuringDelivery() async throws {
        guard let disk = try SmallDisk.make(megabytes: 48) else { return }
        let acknowledged = try await Self.deliverUntilPowerCut(disk)
        #expect(!acknowledged.isEmpty)
        #expect(acknowledged.count < 400)
        try disk.unmount()
        try disk.mount()
        #expect(acknowledged.subtracting(try await Self.everything(on: disk)) == [])
    }

    /// Delivers three messages, deletes the first, and cuts the power.
    private static func deleteBeforePowerCut(_ disk: SmallDisk) async throws -> Set<String> {
        let store = try TestFolder(existing: disk.path + "/store").store()
        defer { store.shutdown() }
        for number in 0..<3 { _ = await store.deliver("x\r\n", .numbered(number), to: [mailbox(of: 0)]) }
        let snapshot = try await store.list(mailbox(of: 0))
        _ = try await store.delete([0], of: snapshot)
        try disk.cutPower()
        return Set(snapshot.uidls.dropFirst().map { label(snapshot.mailbox, $0) })
    }

    @Test("Power cut: what was deleted does not come back, and nothing else is lost")
    func powerCutAfterDeletion() async throws {
        guard let disk = try SmallDisk.make(megabytes: 16) else { return }
        let left = try await Self.deleteBeforePowerCut(disk)
        try disk.unmount()
        try disk.mount()
        #expect(try await Self.everything(on: disk) == left)
    }

    /// Delivers messages for a site, deletes one of them, and cuts the power. What the site is to have then.
    private static func spoolBeforePowerCut(_ disk: SmallDisk, _ site: SpoolTarget) async throws -> [[String]] {
        let store = try TestFolder(existing: disk.path + "/store").store()
        defer { store.shutdown() }
        let sites = SiteSpools([site])
        for number in 0..<8 { _ = await store.deliver("x\r\n", .numbered(number), sites: sites) }
        let snapshot = try await store.list()
        let outcome = try await store.delete([0], of: snapshot, sites: sites)
        try disk.cutPower()
        return [Array(snapshot.uidls.dropFirst()), outcome.tombstones.map(\.name.text)]
    }

    @Test("Power cut: what was acknowledged, and what was deleted, waits for the site")
    func powerCutWithSite() async throws {
        guard let disk = try SmallDisk.make(megabytes: 16) else { return }
        let site = try #require(SpoolTarget(site: "b"))
        let wanted = try await Self.spoolBeforePowerCut(disk, site)
        try disk.unmount()
        try disk.mount()
        let store = try TestFolder(existing: disk.path + "/store").store()
        let waiting = try await store.list(heldFor: site)
        #expect([waiting.uidls, waiting.tombstoneNames] == wanted)
        #expect(try await store.list().uidls == wanted[0])
        store.shutdown()
    }

    @Test("A full disk defers, loses nothing acknowledged, leaves no rest, and takes mail again after a deletion")
    func fullDisk() async throws {
        guard let disk = try SmallDisk.make(megabytes: 16) else { return }
        let folder = try TestFolder(existing: disk.path + "/store")
        let store = try folder.store()
        defer { store.shutdown() }
        let text = String(repeating: "fill\r\n", count: 10_000)
        var stored: [String] = []
        var failure: MaildirError?
        for number in 0..<2000 where failure == nil {
            switch await store.deliver(text, .numbered(number))[0] {
            case .success: stored.append(MessageIdentity.numbered(number).text)
            case .failure(let error): failure = error
            }
        }
        #expect(failure?.isFull == true)
        #expect(folder.names(.alice, "tmp") == [])
        let snapshot = try await store.list()
        #expect(snapshot.uidls == stored)
        // Take the last blocks too, so that the tombstone finds no room.
        var filler = Data(repeating: 1, count: 1 << 20)
        for _ in 0..<12 where !filler.isEmpty {
            try? filler.write(to: URL(fileURLWithPath: "\(disk.path)/filler-\(filler.count)"))
            filler = filler.prefix(filler.count / 2)
        }
        #expect(try await store.delete(Array(0..<20), of: snapshot).failures == 0)
        #expect(try await store.list().uidls == Array(stored.dropFirst(20)))
        let next = MessageIdentity.numbered(9999)
        #expect(await store.deliver(text, next) == [.success(.stored)])
        // A later start on a nearly full disk works too.
        #expect(try await folder.store().list().count == stored.count - 19)
    }

    @Test("On a full disk a foreign Maildir without gone/ can be deleted from")
    func fullDiskWithoutGone() async throws {
        guard let disk = try SmallDisk.make(megabytes: 16) else { return }
        let folder = try TestFolder(existing: disk.path + "/store")
        for number in 0..<20 {
            try folder.put(String(repeating: "x\n", count: 10_000), in: .alice, "cur", named: "\(number).h:2,S")
        }
        let store = try folder.store()
        defer { store.shutdown() }
        let snapshot = try await store.list()
        #expect(snapshot.count == 20)
        var filler = Data(repeating: 1, count: 8 << 20)
        for round in 0..<64 where !filler.isEmpty {
            let path = "\(disk.path)/filler-\(round)"
            if (try? filler.write(to: URL(fileURLWithPath: path))) == nil { filler = filler.prefix(filler.count / 2) }
        }
        #expect(mkdir("\(disk.path)/one-more", 0o700) == -1)
        #expect(try await store.delete(Array(0..<10), of: snapshot).failures == 0)
        #expect(try await store.list().count == 10)
        #expect(folder.names(.alice, "gone").count == 1)
    }
}
