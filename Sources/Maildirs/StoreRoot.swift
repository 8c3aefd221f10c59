import Glibc
import Synchronization

/// The store's root, held open: everything is opened below it, so what is unmounted or mounted over it later cannot make
/// the store look empty.
final class StoreRoot: Sendable {
    let path: String
    private let marker: StoreMarker
    private let opened: Mutex<OpenFile>

    init(path: String, marker: StoreMarker) throws(MaildirError) {
        self.path = path
        self.marker = marker
        opened = Mutex(try Self.open(path, marker))
    }

    var directory: OpenFile { opened.withLock { $0 } }

    /// After ESTALE (an NFS server was replaced): opens the root anew, and only if it is still this store.
    func reopen() throws(MaildirError) {
        let fresh = try Self.open(path, marker)
        opened.withLock { $0 = fresh }
    }

    /// Does `body` with the root, and once more with the root opened anew if the file system says that a handle is stale.
    func withDirectory<Value>(
        _ body: (OpenFile) throws(MaildirError) -> Value
    ) throws(MaildirError) -> Value {
        for _ in 0..<Self.staleRetriesMax {
            do throws(MaildirError) {
                return try body(directory)
            } catch {
                guard error.errorNumber == ESTALE else { throw error }
                try reopen()
            }
        }
        return try body(directory)
    }

    private static let staleRetriesMax = 3

    private static func open(_ path: String, _ marker: StoreMarker) throws(MaildirError) -> OpenFile {
        let directory = try openRoot(path)
        try marker.check(in: directory, root: path)
        return directory
    }

    /// The root itself may be reached by a symbolic link: that is the operator's to say.
    static func openRoot(_ path: String) throws(MaildirError) -> OpenFile {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { throw .noMarker(root: path) }
            throw .failed("open", path)
        }
        return OpenFile(descriptor)
    }
}
