import Foundation

/// A small ext4 of its own on a loop device, for tests of full disks and power cuts. Needs root and loop devices.
final class SmallDisk: Sendable {
    enum Failure: Error { case command(String, Int32) }

    let path: String
    private let image: String

    /// Nil, with a line that says so, where the machine does not let us mount. Where `CI` is set that is a failure.
    static func make(megabytes: Int) throws -> SmallDisk? {
        do {
            return try SmallDisk(megabytes: megabytes)
        } catch {
            if ProcessInfo.processInfo.environment["CI"] != nil { throw error }
            print("not tried here: no loop-mounted ext4 (\(error)); needs root")
            return nil
        }
    }

    private init(megabytes: Int) throws {
        path = NSTemporaryDirectory() + "maildirs-disk-\(UUID().uuidString)"
        image = path + ".img"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        try Self.run("/usr/bin/truncate", "-s", "\(megabytes)M", image)
        try Self.run("/usr/sbin/mkfs.ext4", "-q", "-m", "0", image)
        try mount()
    }

    deinit {
        try? Self.run("/usr/bin/umount", "-l", path)
        try? FileManager.default.removeItem(atPath: image)
        try? FileManager.default.removeItem(atPath: path)
    }

    func mount() throws {
        try Self.run("/usr/bin/mount", "-o", "loop", image, path)
        // The kernel may tell whoever syncs first of a write that failed before the power was cut.
        let descriptor = open(path, O_RDONLY | O_DIRECTORY)
        fsync(descriptor)
        close(descriptor)
    }

    func unmount() throws { try Self.run("/usr/bin/umount", path) }

    /// As if the power failed: what is not on the disk is lost, its log included. Everything fails until mounted again.
    func cutPower() throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY)
        guard descriptor >= 0 else { throw Failure.command("open", errno) }
        defer { close(descriptor) }
        var withoutFlushingTheLog: UInt32 = 2
        guard ioctl(descriptor, Self.shutdownRequest, &withoutFlushingTheLog) == 0 else {
            throw Failure.command("ioctl EXT4_IOC_SHUTDOWN", errno)
        }
    }

    /// EXT4_IOC_SHUTDOWN: `_IOR('X', 125, __u32)`.
    private static let shutdownRequest: UInt = 0x8004_587D

    private static func run(_ program: String, _ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure.command(program, process.terminationStatus) }
    }
}
