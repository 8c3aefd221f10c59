import Directory
import Foundation
import Mail
import SASL
import Testing

@Suite(.timeLimit(.minutes(5))) struct OutageTests {
    /// Both questions that a frontend asks give `.unavailable`, and its detail names the file.
    private func expectOutage(_ directory: SQLiteDirectory, _ text: String) async throws {
        let alice = try address("alice@example.test")
        let errors = [
            await #expect(throws: DirectoryError.self) { try await directory.resolve(alice) },
            await #expect(throws: DirectoryError.self) {
                try await directory.answer(.password(user: "alice@example.test", password: "alice-password"))
            },
            await #expect(throws: DirectoryError.self) { try await directory.check() },
        ]
        for error in errors { #expect("\(String(describing: error))".contains(text), "\(String(describing: error))") }
    }

    private func expectService(_ directory: SQLiteDirectory) async throws {
        #expect(
            try await directory.resolve(address("alice@example.test"))
                == mailboxes(("alice@example.test", "alice@example.test")))
    }

    @Test("A frontend that starts before the directory is there says so, and serves as soon as it is")
    func missing() async throws {
        let site = try Site()
        let directory = site.frontend
        try await expectOutage(directory, "No such file or directory")
        #expect(!FileManager.default.fileExists(atPath: site.settings.path))
        try await site.administration.addDomain("example.test")
        try await site.administration.addAccount(address("alice@example.test"), password: "x")
        try await expectService(directory)
    }

    @Test("A question whose asker was cancelled is no outage, and harms nobody who asks after it")
    func cancelled() async throws {
        let site = try await Site.withAccounts()
        let directory = site.frontend
        try await expectService(directory)
        let asker = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await directory.answer(.scramCredentials(user: "alice@example.test"))
        }
        await #expect(throws: DirectoryError.cancelled) { try await asker.value }
        try await expectService(directory)
    }

    @Test("A database that is removed under a frontend is an outage, and one that is put back ends it")
    func removed() async throws {
        let site = try await Site.withAccounts()
        let directory = site.frontend
        try await expectService(directory)
        let backup = "\(site.folder)/backup"
        try FileManager.default.moveItem(atPath: site.settings.path, toPath: backup)
        try await expectOutage(directory, "No such file or directory")
        try FileManager.default.moveItem(atPath: backup, toPath: site.settings.path)
        try await expectService(directory)
    }

    @Test("A database that another takes the place of is read from then on")
    func replaced() async throws {
        let (site, other) = (try await Site.withAccounts(), try await Site.withAccounts())
        try await other.administration.addAccount(address("carol@example.test"), password: "x")
        let directory = site.frontend
        let carol = try address("carol@example.test")
        #expect(try await directory.resolve(carol) == .unknownUser)
        try FileManager.default.removeItem(atPath: site.settings.path)
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: site.settings.path + suffix) }
        for suffix in ["", "-wal", "-shm"] {
            let from = other.settings.path + suffix
            guard FileManager.default.fileExists(atPath: from) else { continue }
            try FileManager.default.copyItem(atPath: from, toPath: site.settings.path + suffix)
        }
        #expect(try await directory.resolve(carol) == mailboxes(("carol@example.test", "carol@example.test")))
    }

    @Test("A file that is no database, an empty one, and a folder in its place are outages")
    func noDatabase() async throws {
        let site = try Site()
        try Data("this is no database, however long one looks at it".utf8).write(
            to: URL(fileURLWithPath: site.settings.path))
        try await expectOutage(site.frontend, "not a database")
        await #expect(throws: DirectoryAdministrationError.self) {
            try await site.administration.addDomain("example.test")
        }
        try Data().write(to: URL(fileURLWithPath: site.settings.path))
        try await expectOutage(site.frontend, "not a directory yet")
        try FileManager.default.removeItem(atPath: site.settings.path)
        try FileManager.default.createDirectory(atPath: site.settings.path, withIntermediateDirectories: false)
        try await expectOutage(site.frontend, site.settings.path)
    }

    @Test("A database whose pages were overwritten is an outage, not a crash")
    func corrupt() async throws {
        let site = try await Site.withAccounts()
        let path = site.settings.path
        for suffix in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
        let size = try FileManager.default.attributesOfItem(atPath: path)[.size] as? Int ?? 0
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
        try file.seek(toOffset: 100)
        try file.write(contentsOf: Data(repeating: 0xA5, count: max(0, size - 100)))
        try file.close()
        try await expectOutage(site.frontend, path)
    }

    @Test("A database that another process holds locked is an outage until it lets go")
    func locked() async throws {
        let site = try await Site.withAccounts()
        // The pending, reserved and shared bytes of SQLite's file format, all of them: an exclusive lock.
        var lock: ForeignLock? = try await ForeignLock(path: site.settings.path, start: 0x4000_0000, length: 512)
        let directory = site.frontend
        try await expectOutage(directory, "locked")
        await #expect(throws: DirectoryAdministrationError.self) {
            try await site.administration.addDomain("another.test")
        }
        withExtendedLifetime(lock) {}
        lock = nil
        try await expectService(directory)
    }

    @Test("A path that leads nowhere names the reason")
    func nowhere() async throws {
        let site = try Site { $0.path = "/proc/none/directory.sqlite" }
        let error = await #expect(throws: DirectoryAdministrationError.self) {
            try await site.administration.addDomain("example.test")
        }
        #expect("\(String(describing: error))".contains("No such file or directory"))
    }

    @Test("Only its owner may read a new database: there are password hashes in it")
    func mode() async throws {
        let site = try await Site.withAccounts()
        let attributes = try FileManager.default.attributesOfItem(atPath: site.settings.path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test("A frontend writes nothing")
    func readOnly() async throws {
        let site = try await Site.withAccounts()
        await #expect(throws: DirectoryAdministrationError.self) { try await site.frontend.addDomain("another.test") }
        #expect(try await site.administration.listDomains().count == 1)
    }
}
