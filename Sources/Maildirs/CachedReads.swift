import CLinux
import Glibc
import Synchronization

/// Opens and reads messages that the kernel has in memory, on the thread that asks: most are read soon after they came,
/// and a trip to a reading thread costs more than the reading.
///
/// Nothing here waits for a disk. Where that is not sure (another file system, one that has no such calls, a path that is
/// not in memory) the answer is nil, and the caller reads in the usual way.
final class CachedReads: Sendable {
    private let isPossible: Atomic<Bool>

    /// - Parameter root: of a file system without a block device nothing is read so, because it may be a server's.
    init(root: OpenFile, options: StoreOptions) {
        let status = try? root.status()
        let isLocal = status.map { !DirectoryStamps.isRemote(device: UInt64($0.st_dev)) } ?? false
        isPossible = Atomic(options.faults == nil && !(options.isRemote ?? !isLocal))
    }

    /// - Parameter path: below the root.
    func open(_ path: [UInt8], in root: OpenFile) -> OpenFile? {
        guard isPossible.load(ordering: .relaxed) else { return nil }
        return try? withPath(path) { path throws(MaildirError) in
            let descriptor = open_cached(root.descriptor, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
            if descriptor < 0 { learn(from: errno) }
            return descriptor < 0 ? nil : OpenFile(descriptor)
        }
    }

    /// Nil unless all `count` bytes from the file's beginning are there.
    func beginning(of file: OpenFile, count: Int) -> [UInt8]? {
        guard count > 0 else { return [] }
        var isWhole = false
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let got = read_cached(file.descriptor, buffer.baseAddress, count, 0)
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
