import CLinux
import Glibc
import Synchronization

/// Gives a written file its name, if nobody has it, and looks at the name where that fails.
///
/// A failure may belong to a request that a network file system did the first time. Only the name itself tells: if it
/// stands for our open file, it was made. A link count tells nothing, anybody can link our file elsewhere.
enum ExclusiveLink {
    enum Outcome: Sendable {
        case made
        /// The same, and the temporary name is gone.
        case moved
        case taken
    }

    /// Links, so that the file has both names.
    ///
    /// - Parameter fault: what a test wants to happen instead.
    static func make(
        _ file: OpenFile, at temporary: String, in tmp: OpenFile, as name: String, in directory: OpenFile,
        fault: FaultPlan.Fault? = nil
    ) throws(MaildirError) -> Outcome {
        try take(file, temporary, tmp, name, directory, fault) { old, new in
            linkat(tmp.descriptor, old, directory.descriptor, new, 0) == 0 ? .made : nil
        }
    }

    /// Renames where the file system can do that without replacing, which saves the disk a name made and removed; links
    /// elsewhere.
    ///
    /// - Parameter isPossible: set to false by a file system that cannot.
    static func move(
        _ file: OpenFile, at temporary: String, in tmp: OpenFile, as name: String, in directory: OpenFile,
        where isPossible: borrowing Atomic<Bool>, fault: FaultPlan.Fault?
    ) throws(MaildirError) -> Outcome {
        guard isPossible.load(ordering: .relaxed) else {
            return try make(file, at: temporary, in: tmp, as: name, in: directory, fault: fault)
        }
        return try take(file, temporary, tmp, name, directory, fault) { old, new in
            if rename_exclusively(tmp.descriptor, old, directory.descriptor, new) == 0 { return .moved }
            if errno == EINVAL || errno == ENOSYS || errno == EPERM { isPossible.store(false, ordering: .relaxed) }
            return linkat(tmp.descriptor, old, directory.descriptor, new, 0) == 0 ? .made : nil
        }
    }

    private static func take(
        _ file: OpenFile, _ temporary: String, _ tmp: OpenFile, _ name: String, _ directory: OpenFile,
        _ fault: FaultPlan.Fault?, by step: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Outcome?
    ) throws(MaildirError) -> Outcome {
        if let outcome = attempt(temporary, name, fault, by: step) { return outcome }
        let error = MaildirError.failed("link", name)
        guard let found = try status(of: name, in: directory) else { throw error }
        let own = try file.status()
        if found.st_dev == own.st_dev, found.st_ino == own.st_ino { return .made }
        guard error.errorNumber == EEXIST, found.st_mode & S_IFMT == S_IFREG else { throw error }
        return .taken
    }

    /// Nil with errno set if it failed.
    private static func attempt(
        _ temporary: String, _ name: String, _ fault: FaultPlan.Fault?,
        by step: (UnsafePointer<CChar>, UnsafePointer<CChar>) -> Outcome?
    ) -> Outcome? {
        if case .fail(let number) = fault {
            errno = number
            return nil
        }
        let outcome = temporary.withCString { temporary in name.withCString { step(temporary, $0) } }
        if case .failAfterDoing(let number) = fault {
            errno = number
            return nil
        }
        return outcome
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
