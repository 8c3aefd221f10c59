import Glibc

/// Gives a written file its name, if nobody has it, and looks at the name where `link` fails.
///
/// A failure may belong to a request that a network file system did the first time. Only the name itself tells: if it
/// stands for our open file, it was made. A link count tells nothing, anybody can link our file elsewhere.
enum ExclusiveLink {
    enum Outcome: Sendable { case made, taken }

    /// - Parameter fault: what a test wants to happen instead.
    static func make(
        _ file: OpenFile, at temporary: String, in tmp: OpenFile, as name: String, in directory: OpenFile,
        fault: FaultPlan.Fault? = nil
    ) throws(MaildirError) -> Outcome {
        if link(temporary, tmp, name, directory, fault) { return .made }
        let error = MaildirError.failed("link", name)
        guard let found = try status(of: name, in: directory) else { throw error }
        let own = try file.status()
        if found.st_dev == own.st_dev, found.st_ino == own.st_ino { return .made }
        guard error.errorNumber == EEXIST, found.st_mode & S_IFMT == S_IFREG else { throw error }
        return .taken
    }

    private static func link(
        _ temporary: String, _ tmp: OpenFile, _ name: String, _ directory: OpenFile, _ fault: FaultPlan.Fault?
    ) -> Bool {
        if case .fail(let number) = fault {
            errno = number
            return false
        }
        let isMade = temporary.withCString { temporary in
            name.withCString { linkat(tmp.descriptor, temporary, directory.descriptor, $0, 0) == 0 }
        }
        if case .failAfterDoing(let number) = fault {
            errno = number
            return false
        }
        return isMade
    }

    /// From the server, not from what this host remembers: the directory is opened for it.
    private static func status(of name: String, in directory: OpenFile) throws(MaildirError) -> stat? {
        let fresh = try OpenFile.openDirectory(".", in: directory.descriptor)
        var status = stat()
        if fstatat(fresh.descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 { return status }
        if errno == ENOENT { return nil }
        throw .failed("stat", name)
    }
}
