import CLinux
import FileTimes
import Glibc
import Synchronization

/// Opens and reads messages and looks at folders that the kernel has in memory, on the thread that asks: most are read
/// soon after they came, and a trip to a reading thread costs more than the reading.
///
/// Nothing here waits for a disk. Where that is not sure (another file system, one that has no such calls, a path that is
/// not in memory) the answer is nil, and the caller reads in the usual way.
final class CachedReads: Sendable {
    private let isPossible: Atomic<Bool>

    /// - Parameter root: of a file system without a block device nothing is read so, because it may be a server's.
    init(root: OpenFile, options: StoreOptions) {
        let status = try? root.status()
        let isLocal = status.map { !ChangeStamp($0).isRemote } ?? false
        isPossible = Atomic(options.faults == nil && !(options.isRemote ?? !isLocal))
    }

    /// - Parameter path: below the directory.
    func open(_ path: [UInt8], in directory: OpenFile) -> OpenFile? {
        let descriptor = try? withPath(path) { path throws(MaildirError) in
            self.descriptor(of: path, O_RDONLY | O_NONBLOCK, in: directory)
        }
        guard let descriptor, descriptor >= 0 else { return nil }
        return OpenFile(descriptor)
    }

    /// - Parameter path: below the root.
    func place(_ path: String, in root: OpenFile) -> OpenFile? {
        let descriptor = folderDescriptor(path, in: root)
        return descriptor < 0 ? nil : OpenFile(descriptor)
    }

    enum FolderStatus {
        case there(stat)
        case notThere
        /// It takes a disk to know, or cannot be known so at all.
        case unknown
    }

    /// - Parameter path: below the root.
    func folder(_ path: String, in root: OpenFile) -> FolderStatus {
        let descriptor = folderDescriptor(path, in: root)
        guard descriptor >= 0 else { return descriptor == -ENOENT ? .notThere : .unknown }
        return (try? OpenFile(descriptor).status()).map(FolderStatus.there) ?? .unknown
    }

    private func folderDescriptor(_ path: String, in root: OpenFile) -> Int32 {
        descriptor(of: path, open_as_place | O_DIRECTORY, in: root)
    }

    /// A negative errno if it cannot be opened so.
    private func descriptor(of path: UnsafePointer<CChar>, _ flags: Int32, in directory: OpenFile) -> Int32 {
        guard isPossible.load(ordering: .relaxed) else { return -ENOSYS }
        func open(_ flags: Int32) -> Int32 {
            open_cached(directory.descriptor, path, flags | O_CLOEXEC | O_NOFOLLOW)
        }
        // A place cannot be read, and takes no flags for that.
        let descriptor = flags & open_as_place == 0 ? withoutTrace(flags, open) : open(flags)
        guard descriptor < 0 else { return descriptor }
        learn(from: errno)
        return -errno
    }

    /// Nil unless all `count` bytes from the file's beginning are there.
    func beginning(of file: OpenFile, count: Int) -> [UInt8]? {
        count > 0 ? bytes(of: file, count, room: count) : []
    }

    /// Nil unless it is a regular file of just so many bytes, which are all there. Nothing else can be read so: a folder says
    /// EISDIR, a FIFO ESPIPE.
    func whole(of file: OpenFile, count: Int) -> [UInt8]? { bytes(of: file, count, room: count + 1) }

    private func bytes(of file: OpenFile, _ count: Int, room: Int) -> [UInt8]? {
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: room) { buffer, filled in
            let got = read_cached(file.descriptor, buffer.baseAddress, room, 0)
            if got < 0 { learn(from: errno) }
            filled = max(0, got)
            isWhole = got == count
        }
        return isWhole ? bytes : nil
    }

    /// An old kernel, a sandbox and some file systems have no such calls, and never will.
    private func learn(from number: Int32) {
        switch number {
        case ENOSYS, EPERM, EINVAL, EOPNOTSUPP: isPossible.store(false, ordering: .relaxed)
        default: break
        }
    }
}
