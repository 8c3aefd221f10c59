import Directory
import Foundation
import Mail
import Synchronization

/// Where all the databases lie; gone when the process ends. (A test's last use of its `Site` comes before its last use
/// of the database, so a site cannot remove its own folder.)
private let rootFolder: URL = {
    let url = FileManager.default.temporaryDirectory.appending(path: "directory-tests-\(UUID().uuidString)")
    atexit { try? FileManager.default.removeItem(at: rootFolder) }
    return url
}()

/// A directory's database in a folder of its own.
struct Site {
    let folder: String
    var settings: DirectorySettings

    init(_ change: (inout DirectorySettings) -> Void = { _ in }) throws {
        let url = rootFolder.appending(path: UUID().uuidString)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        folder = url.path
        settings = DirectorySettings(path: "\(folder)/directory.sqlite")
        // The cheapest scheme: these tests are about everything else.
        settings.passwordScheme = .sha512
        settings.busyTimeout = .milliseconds(20)
        settings.checkInterval = .zero
        change(&settings)
    }

    /// Whether the databases lie on a block device.
    static var isOnDisk: Bool {
        var status = stat()
        return stat(FileManager.default.temporaryDirectory.path, &status) == 0 && (status.st_dev >> 8) & 0xFFF != 0
    }

    /// What the command line opens.
    var administration: SQLiteDirectory { SQLiteDirectory(settings: settings, access: .administration) }
    /// What a frontend opens.
    var frontend: SQLiteDirectory { SQLiteDirectory(settings: settings, access: .frontend) }

    /// With the domain example.test, the accounts alice and bob, and the passwords "alice-password", "bob-password".
    static func withAccounts(_ change: (inout DirectorySettings) -> Void = { _ in }) async throws -> Site {
        let site = try Site(change)
        let administration = site.administration
        try await administration.addDomain("example.test")
        for name in ["alice", "bob"] {
            try await administration.addAccount(address("\(name)@example.test"), password: "\(name)-password")
        }
        return site
    }
}

struct NotAnAddress: Error {}

func address(_ text: String) throws -> EmailAddress {
    guard let address = EmailAddress(text) else { throw NotAnAddress() }
    return address
}

func mailbox(_ text: String) throws -> MailboxName {
    guard let name = MailboxName(text) else { throw NotAnAddress() }
    return name
}

/// One account's mailbox, at the address of the same name unless another is given.
func mailboxes(_ pairs: (mailbox: String, address: String)...) throws -> Resolution {
    .mailboxes(try pairs.map { Destination(mailbox: try mailbox($0.mailbox), address: try address($0.address)) })
}

/// A lock by a description of its own, as another process would have it.
final class ForeignLock {
    private let descriptor: Int32

    /// Waits until a connection that was let go of has closed the file, which it does when it comes to it.
    ///
    /// - Parameters:
    ///   - start, length: the bytes to lock, as SQLite's file format gives them.
    init(path: String, start: Int, length: Int) async throws {
        descriptor = open(path, O_RDWR)
        guard descriptor >= 0 else { throw CocoaError(.fileReadNoSuchFile) }
        for _ in 0..<600 where !lock(start, length) { try await Task.sleep(for: .milliseconds(50)) }
        guard lock(start, length) else { throw CocoaError(.fileLocking) }
    }

    private func lock(_ start: Int, _ length: Int) -> Bool {
        var lock = flock()
        lock.l_type = Int16(F_WRLCK)
        lock.l_whence = Int16(SEEK_SET)
        lock.l_start = start
        lock.l_len = length
        // F_OFD_SETLK, whose macro Swift does not import. What is locked already is locked again.
        return fcntl(descriptor, 37, &lock) == 0
    }

    deinit { close(descriptor) }
}
