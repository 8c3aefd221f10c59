import Foundation
import Mail
import Synchronization
import Testing

@testable import Maildirs

/// Messages that other sites are to have: they are in the sites' spools before anybody sees them.
@Suite(.timeLimit(.minutes(5))) struct SiteSpoolTests {
    private let body = "Subject: b\r\n\r\nHello\r\n"
    private let b: SpoolTarget
    private let c: SpoolTarget

    init() throws {
        b = try #require(SpoolTarget(site: "b"))
        c = try #require(SpoolTarget(site: "c"))
    }

    private func path(_ text: String) throws -> SitePath { try #require(SitePath(text)) }

    @Test("A message lies in the spool as the same file, under its name and the path")
    func delivery() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let sites = SiteSpools([b, c], path: try path("a,d"))
        #expect(await store.deliver(body, .numbered(1), sites: sites) == [.success(.stored)])
        store.shutdown()
        let name = try #require(folder.names(.alice, "new").first)
        for site in [b, c] {
            #expect(folder.spool(site, "new") == [name + ",P=a+d"])
            #expect(folder.spool(site, "tmp") == [] && folder.spool(site, "gone") == [])
            #expect(folder.inode(site, "new/\(name),P=a+d") == folder.inode("new/\(name)"))
        }
        #expect(folder.names(.alice, "tmp") == [])
    }

    @Test("What comes from a client has no path in its name; without sites there is no spool")
    func origin() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(body, .numbered(1))
        #expect(!FileManager.default.fileExists(atPath: "\(folder.root)/spool"))
        _ = await store.deliver(body, .numbered(2), sites: SiteSpools([b]))
        #expect(folder.spool(b, "new") == [folder.names(.alice, "new")[1]])
        let waiting = try await store.list(heldFor: b)
        #expect(waiting.sitePath(at: 0) == .origin)
    }

    @Test("The listing of a spool tells each message's path")
    func listedPaths() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let paths = ["-", "a", "a,x_1.y-2", "a,b,a"]
        for (number, text) in paths.enumerated() {
            _ = await store.deliver(body, .numbered(number), sites: SiteSpools([b], path: try path(text)))
        }
        let waiting = try await store.list(heldFor: b)
        #expect((0..<waiting.count).map { waiting.sitePath(at: $0).text } == paths)
        #expect(waiting.uidls == (0..<4).map { MessageIdentity.numbered($0).text })
        let own = try await store.list()
        #expect((0..<4).map(waiting.octets) == (0..<4).map(own.octets))
        #expect(waiting.promise(at: 2) != nil)
        #expect(try await store.text(2, of: waiting) == store.text(2, of: own))
    }

    @Test("Each recipient's copy waits for its own sites")
    func recipients() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let outcomes = await store.deliver(
            body, .numbered(1),
            [.to(.alice, sites: SiteSpools([b])), .to(.bob, sites: SiteSpools([c])), .to(.named("carol"))])
        #expect(outcomes == Array(repeating: .success(.stored), count: 3))
        #expect(folder.spool(b, "new") == folder.names(.alice, "new") && folder.spool(c, "new") == [])
        #expect(folder.spool(c, "new", .bob) == folder.names(.bob, "new") && folder.spool(b, "new", .bob) == [])
        #expect(folder.spool(b, "new", .named("carol")) + folder.spool(c, "new", .named("carol")) == [])
    }

    @Test("A large message waits for its sites too, for every recipient")
    func spilled() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let sites = SiteSpools([b], path: try path("a"))
        let writer = store.writer(
            identity: .numbered(1), mayBeRepeat: false,
            recipients: [.to(.alice, sites: sites), .to(.bob, sites: sites)])
        writer.append(String(repeating: "long\r\n", count: 50_000))
        #expect(await writer.flush() == nil)
        writer.append(body)
        #expect(await writer.commit() == [.success(.stored), .success(.stored)])
        store.shutdown()
        for mailbox in [MailboxName.alice, .bob] {
            let name = try #require(folder.names(mailbox, "new").first)
            #expect(folder.spool(b, "new", mailbox) == [name + ",P=a"])
            #expect(folder.inode(b, "new/\(name),P=a", mailbox) == folder.inode("new/\(name)", mailbox))
            #expect(folder.names(mailbox, "tmp") + folder.spool(b, "tmp", mailbox) == [])
        }
    }

    @Test("A large message that cannot wait for one recipient's site is deferred for that one, and kept for the others")
    func spilledFault() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        faults.set { step, name in step == .syncDirectory && name.hasPrefix("spool/site-b/") ? .fail(ENOSPC) : nil }
        let recipients: [DeliveryRecipient] = [
            .to(.alice, sites: SiteSpools([b])), .to(.bob, sites: SiteSpools([c])), .to(.named("carol")),
        ]
        let writer = store.writer(identity: .numbered(1), mayBeRepeat: false, recipients: recipients)
        writer.append(String(repeating: "long\r\n", count: 50_000))
        #expect(await writer.flush() == nil)
        let outcomes = await writer.commit()
        #expect(outcomes.dropFirst() == [.success(.stored), .success(.stored)])
        #expect(throws: MaildirError.self) { try outcomes[0].get() }
        store.shutdown()
        #expect(folder.names(.alice, "new") == [] && folder.names(.bob, "new").count == 1)
        for mailbox in [MailboxName.alice, .bob, .named("carol")] { #expect(folder.names(mailbox, "tmp") == []) }
    }

    @Test("A repeat does not go to the sites once more, whether the message is there or was deleted")
    func repeats() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let sites = SiteSpools([b])
        for number in 1...2 { _ = await store.deliver(body, .numbered(number), sites: sites) }
        _ = try await store.delete([1], of: store.list())
        for number in 1...2 {
            try await store.release(.numbered(number), for: b)
            let outcome = await store.deliver(body, .numbered(number), mayBeRepeat: true, sites: sites)
            #expect(outcome == [.success(.alreadyThere)])
        }
        #expect(folder.spool(b, "new") == [])
    }

    @Test("What was spooled and not delivered before is delivered when it comes again, and waits once")
    func cutOff() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        let spoolName = "spool/site-b/3/example.test/alice/new"
        faults.set { step, name in step == .syncDirectory && name == spoolName ? .fail(EIO) : nil }
        let first = await store.deliver(body, .numbered(1), sites: SiteSpools([b]))
        #expect(throws: MaildirError.self) { try first[0].get() }
        #expect(folder.spool(b, "new").count == 1 && folder.names(.alice, "new") == [])
        faults.set(nil)
        let again = await store.deliver(body, .numbered(1), mayBeRepeat: true, sites: SiteSpools([b]))
        #expect(again == [.success(.stored)])
        #expect(folder.spool(b, "new") == folder.names(.alice, "new"))
    }

    @Test("The spool is synced before the message is linked where readers see it, and new/ is synced after that")
    func order() async throws {
        let folder = try TestFolder()
        let steps = Mutex<[String]>([])
        let new = folder.path(.alice, "new")
        let store = try folder.store(
            faults: FaultPlan { step, name in
                let isSeen = (try? FileManager.default.contentsOfDirectory(atPath: new).isEmpty) == false
                let kind = name.hasPrefix("1700000000") ? (name.contains(",P=") ? "for b" : "own") : name
                if step == .link || step == .syncDirectory || step == .syncFile {
                    steps.withLock { $0.append("\(step) \(kind)\(isSeen ? " seen" : "")") }
                }
                return nil
            })
        steps.withLock { $0 = [] }
        _ = await store.deliver(body, .numbered(0), sites: SiteSpools([b], path: try path("a")))
        let way = "3/example.test/alice/new"
        #expect(
            steps.withLock { $0 } == [
                "syncFile own", "link for b", "syncDirectory spool/site-b/\(way)", "link own",
                "syncDirectory mail/\(way) seen",
            ])
    }

    @Test(
        "Where a step for a spool fails nothing is acknowledged, and nobody sees the message",
        arguments: [FaultPlan.Step.link, .syncDirectory], [ENOSPC, EDQUOT, EIO, EROFS, EEXIST])
    func faults(step: FaultPlan.Step, number: Int32) async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        let sites = SiteSpools([b, c], path: try path("a"))
        let spoolOfC = "spool/site-c/3/example.test/alice/new"
        let links = Tally()
        faults.set { asked, name in
            switch asked {
            // The second link is that of the second site.
            case .link where step == .link && name.hasSuffix(",P=a"): links.next() == 2 ? .fail(number) : nil
            case .syncDirectory where step == .syncDirectory && name == spoolOfC: .fail(number)
            default: nil
            }
        }
        let outcome = await store.deliver(body, .numbered(1), sites: sites)
        guard case .failure(let error) = outcome[0] else {
            Issue.record("\(outcome)")
            return
        }
        #expect(error.errorNumber == number)
        #expect(folder.names(.alice, "new") == [])
        #expect(try await store.list().count == 0)
        faults.set(nil)
        #expect(await store.deliver(body, .numbered(1), mayBeRepeat: true, sites: sites) == [.success(.stored)])
        store.shutdown()
        #expect(folder.spool(b, "new").count == 1 && folder.spool(c, "new").count == 1)
        #expect(folder.names(.alice, "tmp") == [])
    }

    @Test(
        "NFS: a link to a spool that was made though it reports failure is success", arguments: [EEXIST, EIO, ENOENT])
    func retransmittedLink(number: Int32) async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        faults.set { step, name in step == .link && name.hasSuffix(",P=a") ? .failAfterDoing(number) : nil }
        let outcome = await store.deliver(body, .numbered(1), sites: SiteSpools([b], path: try path("a")))
        #expect(outcome == [.success(.stored)])
        #expect(folder.spool(b, "new").count == 1 && folder.names(.alice, "new").count == 1)
    }

    @Test("A folder in the place of a spooled message is no success")
    func takenByFolder() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        _ = await store.deliver(body, .numbered(1), sites: SiteSpools([b]))
        let path = folder.spoolPath(b, "new")
        let own = folder.names(.alice, "new")[0]
        for place in ["\(path)/\(own)", folder.path(.alice, "new/\(own)")] {
            try FileManager.default.removeItem(atPath: place)
        }
        try FileManager.default.createDirectory(atPath: "\(path)/\(own)", withIntermediateDirectories: false)
        let outcome = await store.deliver(body, .numbered(1), sites: SiteSpools([b]))
        #expect(throws: MaildirError.self) { try outcome[0].get() }
        #expect(folder.names(.alice, "new") == [])
    }

    @Test("A message that cannot wait for its site does not fail those that are committed with it")
    func neighbours() async throws {
        let folder = try TestFolder()
        let bad = MessageIdentity.numbered(7).text
        let store = try folder.store(
            threads: 1,
            faults: FaultPlan { step, name in
                step == .link && name.hasPrefix(bad) && name.hasSuffix(",P=a") ? .fail(EIO) : nil
            })
        let sites = SiteSpools([b], path: try path("a"))
        let outcomes = await withTaskGroup(of: (Int, [Outcome]).self) { group in
            for number in 0..<20 {
                group.addTask {
                    let recipient = DeliveryRecipient.to(.alice, sites: number % 2 == 0 ? SiteSpools() : sites)
                    return (number, await store.deliver(body, .numbered(number), [recipient]))
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(outcomes.filter { $0.value == [.success(.stored)] }.count == 19)
        #expect(outcomes[7] != [.success(.stored)])
        #expect(folder.names(.alice, "new").count == 19)
        #expect(folder.spool(b, "new").count == 9)
    }

    @Test("A spool whose fsync fails holds up only the messages that wait there")
    func neighboursOfSync() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(threads: 1, faults: faults.plan)
        faults.set { step, name in step == .syncDirectory && name.hasPrefix("spool/site-b/") ? .fail(EIO) : nil }
        let targets = [[b], [c], [b, c], []]
        let outcomes = await withTaskGroup(of: (Int, [Outcome]).self) { group in
            for (number, targets) in targets.enumerated() {
                group.addTask {
                    (number, await store.deliver(body, .numbered(number), [.to(.alice, sites: SiteSpools(targets))]))
                }
            }
            return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
        }
        #expect(outcomes.filter { $0.value == [.success(.stored)] }.keys.sorted() == [1, 3])
        #expect(try await store.list().uidls == [1, 3].map { MessageIdentity.numbered($0).text })
    }

    @Test("A spool that was removed meanwhile is made again for the next delivery")
    func removedSpool() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        for number in 1...2 {
            #expect(await store.deliver(body, .numbered(number), sites: SiteSpools([b])) == [.success(.stored)])
            #expect(folder.spool(b, "new").count == 1)
            try FileManager.default.removeItem(atPath: "\(folder.root)/spool")
        }
    }

    @Test("A path that makes the name too long for a file system is cut, and the message goes all the same")
    func longNames() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        var long = SitePath.origin
        for letter in "abcdefgh" { long = long.adding(String(repeating: letter, count: 60)) }
        _ = await store.deliver(body, .numbered(1), sites: SiteSpools([b], path: long))
        let name = try #require(folder.spool(b, "new").first)
        #expect(name.utf8.count <= 255 && name.utf8.count > 255 - 61)
        let waiting = try await store.list(heldFor: b)
        let kept = waiting.sitePath(at: 0).sites
        #expect(!kept.isEmpty && kept == Array(long.sites.prefix(kept.count)))
        #expect(waiting.uidls == [MessageIdentity.numbered(1).text])
    }

    @Test("A name takes sites up to 255 bytes exactly, and no site in part")
    func nameBounds() throws {
        for length in 1...255 {
            let name = String(repeating: "n", count: length)
            let spooled = SiteSpools([b], path: try path("aaaa,b")).fileName(name)
            let wanted = length <= 246 ? ",P=aaaa+b" : length <= 248 ? ",P=aaaa" : length <= 251 ? ",P=b" : ""
            #expect(spooled == name + wanted)
        }
    }
}

extension DeliveryRecipient {
    static func to(_ mailbox: MailboxName, sites: SiteSpools) -> DeliveryRecipient {
        DeliveryRecipient(
            mailbox: mailbox, partition: 3, header: Array("Delivered-To: \(mailbox)\n".utf8), sites: sites)
    }
}

extension MaildirStore {
    func deliver(_ text: String, _ identity: MessageIdentity, _ recipients: [DeliveryRecipient]) async -> [Outcome] {
        let writer = writer(identity: identity, mayBeRepeat: false, recipients: recipients)
        writer.append(text)
        return await writer.commit()
    }

    /// To Alice.
    func deliver(
        _ text: String, _ identity: MessageIdentity, mayBeRepeat: Bool = false, sites: SiteSpools
    ) async -> [Outcome] {
        let writer = writer(identity: identity, mayBeRepeat: mayBeRepeat, recipients: [.to(.alice, sites: sites)])
        writer.append(text)
        return await writer.commit()
    }

    func list(heldFor target: SpoolTarget) async throws -> MaildropSnapshot {
        try await withCheckedContinuation { waiting in
            open(.alice, partition: 3, heldFor: target) { waiting.resume(returning: $0) }
        }.get()
    }

    func release(_ name: MessageIdentity, for target: SpoolTarget) async throws {
        try await withCheckedContinuation { waiting in
            release(name, of: .alice, partition: 3, for: target) { waiting.resume(returning: $0) }
        }.get()
    }

    @discardableResult
    func restore(
        _ index: Int, of snapshot: MaildropSnapshot, heldFor target: SpoolTarget, sites: SiteSpools = SiteSpools()
    ) async throws -> Bool {
        try await withCheckedContinuation { waiting in
            restore(index, of: snapshot, heldFor: target, sites: sites) { waiting.resume(returning: $0) }
        }.get()
    }
}

extension TestFolder {
    func spoolPath(_ target: SpoolTarget, _ part: String, _ mailbox: MailboxName = .alice) -> String {
        "\(root)/\(MailboxFolder(mailbox, partition: 3, heldFor: target).path)/\(part)"
    }

    /// The names in a part of what waits, sorted; none if it is not there.
    func spool(_ target: SpoolTarget, _ part: String, _ mailbox: MailboxName = .alice) -> [String] {
        let path = spoolPath(target, part, mailbox)
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    func inode(_ target: SpoolTarget, _ file: String, _ mailbox: MailboxName = .alice) -> UInt64? {
        Self.inode(spoolPath(target, file, mailbox))
    }

    func inode(_ file: String, _ mailbox: MailboxName = .alice) -> UInt64? { Self.inode(path(mailbox, file)) }

    private static func inode(_ path: String) -> UInt64? {
        let attributes = try? FileManager.default.attributesOfItem(atPath: path)
        return attributes?[.systemFileNumber] as? UInt64
    }
}
