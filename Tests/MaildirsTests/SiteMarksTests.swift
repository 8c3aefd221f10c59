import Foundation
import Mail
import Testing

@testable import Maildirs

/// What a node remembers of other sites.
@Suite(.timeLimit(.minutes(5))) struct SiteMarksTests {
    private let b: SpoolTarget
    private let c: SpoolTarget

    init() throws {
        b = try #require(SpoolTarget(site: "b"))
        c = try #require(SpoolTarget(site: "c.paused"))
    }

    @Test("What is paused stays so until it is resumed, also for the next process, and concerns one site")
    func paused() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        #expect(try await store.siteState(b) == SiteState())
        try await store.setPaused(true, for: b)
        let since = try #require(try await store.siteState(b).paused)
        #expect(abs(since - Int64(time(nil))) < 3600)
        store.shutdown()
        let next = try folder.store()
        try await next.setPaused(true, for: b)
        #expect(try await next.siteState(b).paused == since)
        #expect(try await next.siteState(c).paused == nil)
        try await next.setPaused(false, for: c)
        try await next.setPaused(false, for: b)
        try await next.setPaused(false, for: b)
        #expect(try await next.siteState(b) == SiteState())
        #expect(try await next.siteState(c) == SiteState())
    }

    @Test("A mark whose text is spoilt is one all the same")
    func spoilt() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        try await store.setPaused(true, for: b)
        for text in ["", "x", "99999999999999999999\n", String(repeating: "1", count: 1000)] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(folder.root)/sites/b/paused"))
            #expect(abs(try #require(try await store.siteState(b).paused) - Int64(time(nil))) < 3600)
        }
    }

    @Test(
        "A mark that cannot be made durable is not set, nor cleared, as far as anybody is told",
        arguments: [FaultPlan.Step.link, .syncDirectory, .unlink])
    func faults(step: FaultPlan.Step) async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan)
        if step != .link { try await store.setPaused(true, for: b) }
        faults.set { found, name in
            found == step && (name == "sites/b" || name.hasSuffix("paused")) ? .fail(EIO) : nil
        }
        await #expect(throws: MaildirError.self) { try await store.setPaused(step == .link, for: b) }
        faults.set(nil)
        #expect(try await (store.siteState(b).paused != nil) == (step == .unlink))
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.root)
        #expect(!left.contains { $0.hasPrefix(".sites") })
    }

    // MARK: - comparing

    @Test("A comparison that is over takes away what was left out before it began, and nothing that was left out since")
    func comparison() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.spoolFilesMax = [b: 1] }
        for number in 1...2 { _ = await store.deliver("x\r\n", .numbered(number), sites: SiteSpools([b])) }
        let since = try #require(try await store.siteState(b).needsSync)
        try await store.sync(b, "1.a", isBeginning: true)
        #expect(try await store.siteState(b).needsSync == since)
        #expect(try folder.marks(b) == ["syncing-1.a"])
        _ = await store.deliver("x\r\n", .numbered(3), sites: SiteSpools([b]))
        #expect(try folder.marks(b) == ["needs-sync", "syncing-1.a"])
        try await store.sync(b, "1.a", isBeginning: false)
        #expect(try folder.marks(b) == ["needs-sync"])
        try await store.sync(b, "2.a", isBeginning: true)
        try await store.sync(b, "2.a", isBeginning: false)
        #expect(try await store.siteState(b) == SiteState())
        // There is nothing to remember of one that began when nothing was left out.
        try await store.sync(b, "3.a", isBeginning: true)
        #expect(try folder.marks(b) == [])
        try await store.sync(b, "3.a", isBeginning: false)
        try await store.sync(c, "3.a", isBeginning: false)
    }

    @Test(
        "A comparison that was broken off leaves its mark; a later one takes it over, and an earlier one ends nothing of it"
    )
    func brokenOff() async throws {
        let folder = try TestFolder()
        let store = try folder.store { $0.spoolFilesMax = [b: 1] }
        for number in 1...2 { _ = await store.deliver("x\r\n", .numbered(number), sites: SiteSpools([b])) }
        let since = try #require(try await store.siteState(b).needsSync)
        for token in ["1", "2", "3"] { try await store.sync(b, token, isBeginning: true) }
        #expect(try folder.marks(b) == ["syncing-3"])
        for token in ["1", "2"] { try await store.sync(b, token, isBeginning: false) }
        #expect(try await store.siteState(b).needsSync == since)
        store.shutdown()
        let next = try folder.store()
        #expect(try await next.siteState(b).needsSync == since)
        try await next.sync(b, "3", isBeginning: false)
        #expect(try await next.siteState(b).needsSync == nil)
    }

    @Test("A comparison whose mark cannot be made leaves the one that was there")
    func comparisonFault() async throws {
        let folder = try TestFolder()
        let faults = FaultSwitch()
        let store = try folder.store(faults: faults.plan) { $0.spoolFilesMax = [b: 1] }
        for number in 1...2 { _ = await store.deliver("x\r\n", .numbered(number), sites: SiteSpools([b])) }
        faults.set { step, name in step == .link && name.contains("syncing") ? .fail(ENOSPC) : nil }
        await #expect(throws: MaildirError.self) { try await store.sync(b, "1", isBeginning: true) }
        #expect(try folder.marks(b) == ["needs-sync"])
        faults.set(nil)
        for token in ["", "a/b", "..", ".a", "a b"] {
            await #expect(throws: MaildirError.self) { try await store.sync(b, token, isBeginning: true) }
        }
        #expect(try folder.marks(b) == ["needs-sync"])
    }

    @Test("What a crash leaves of a mark in the root is removed after its time")
    func leftovers() async throws {
        let folder = try TestFolder()
        let store = try folder.store()
        let path = "\(folder.root)/.sites-1.2"
        try Data("1\n".utf8).write(to: URL(fileURLWithPath: path))
        _ = try await store.cleanTmp()
        #expect(FileManager.default.fileExists(atPath: path))
        folder.setAge(path, hours: 37)
        _ = try await store.cleanTmp()
        #expect(!FileManager.default.fileExists(atPath: path))
    }
}

extension TestFolder {
    fileprivate func marks(_ site: SpoolTarget) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(root)/sites/\(site.name)").sorted()
    }
}

extension MaildirStore {
    fileprivate func sync(_ site: SpoolTarget, _ token: String, isBeginning: Bool) async throws {
        try await withCheckedContinuation { waiting in
            if isBeginning {
                beginSync(withSite: site, token: token) { waiting.resume(returning: $0) }
            } else {
                endSync(withSite: site, token: token) { waiting.resume(returning: $0) }
            }
        }.get()
    }

    fileprivate func setPaused(_ isPaused: Bool, for site: SpoolTarget) async throws {
        try await withCheckedContinuation { waiting in
            setPaused(isPaused, forSite: site) { waiting.resume(returning: $0) }
        }.get()
    }
}
