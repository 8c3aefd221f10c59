import Glibc

/// Why the store could not do what it was asked: what is wrong, where, and what the operator can do about it.
package enum MaildirError: Error, Hashable, Sendable {
    /// A system call failed: what was being done, to which path (below the root), and its errno.
    case failed(operation: String, path: String, errno: Int32)
    /// The root has no marker file: it was never initialised, or the file system is not mounted.
    case noMarker(root: String)
    /// The root belongs to another cluster or node, or was made with another number of partitions.
    case wrongMarker(root: String, found: String, expected: String)
    /// The file system does not do what durable delivery needs.
    case fileSystemLacks(root: String, [String])
    /// A cluster's or node's name that a marker file cannot hold.
    case badName(String)
    /// The clock was set since the store was opened, so ages mean nothing: what goes by age waits.
    case clockChanged(root: String)
    /// A message's bytes are not what its name promises.
    case damaged(CopyDamage, path: String)
    /// The store was shut down before the operation began.
    case shutDown

    /// Whether room is missing, so that the sender should try again later (452 4.3.1).
    package var isFull: Bool {
        switch self {
        case .failed(_, _, ENOSPC), .failed(_, _, EDQUOT): true
        default: false
        }
    }

    /// Whether somebody removed an open folder, or an NFS server was replaced.
    var isFolderGone: Bool { errorNumber == ENOENT || errorNumber == ESTALE }

    var errorNumber: Int32? {
        if case .failed(_, _, let number) = self { number } else { nil }
    }
}

extension MaildirError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .failed(let operation, let path, let number):
            "\(operation) \(path): \(String(cString: strerror(number))) (errno \(number))"
        case .noMarker(let root):
            "\(root) has no file \(StoreMarker.fileName), so it is not a store: mount the file system if it is not "
                + "mounted; to make a new, empty store there, start once with --init"
        case .wrongMarker(let root, let found, let expected):
            "\(root) is the store of \(found), not of \(expected): correct the data directory, the names or the number "
                + "of partitions in the configuration"
        case .fileSystemLacks(let root, let missing):
            "the file system of \(root) cannot hold a store, it lacks: \(missing.joined(separator: "; ")). Use a local "
                + "file system, NFS or CephFS"
        case .badName(let name):
            "\"\(name)\" cannot name a cluster or node in a marker file: it must be one line and not empty"
        case .clockChanged(let root):
            "the clock of \(root) was set by more than a minute: nothing there is removed for its age until it is back, "
                + "until that age has gone by, or until the program is started again"
        case .damaged(let damage, let path):
            "\(path) is not what its name promises: \(damage)"
        case .shutDown:
            "the store is shut down"
        }
    }
}
