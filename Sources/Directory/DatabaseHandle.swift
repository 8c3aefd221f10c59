import Dispatch
import GRDB
import Glibc
import Synchronization

/// The open database, opened when it is first needed and again when it broke or when another file took its place (a
/// restored backup): an outage of the directory ends without a restart of the frontends.
///
/// Opening may wait for a lock, so it happens on a queue of its own, and callers wait without a thread.
final class DatabaseHandle: Sendable {
    enum Access: Sendable {
        /// Reads only. The database must be there already.
        case frontend
        /// Reads and writes; makes the database and brings its tables up to date.
        case administration
    }

    /// What a path stood for when it was looked at.
    private struct FileIdentity: Equatable {
        let device: UInt64
        let inode: UInt64
    }

    private struct State {
        var pool: DatabasePool?
        var file: FileIdentity?
        var failure: DirectoryError?
        var checked: ContinuousClock.Instant?
    }

    private let settings: DirectorySettings
    private let access: Access
    private let state = Mutex(State())
    private let queue = DispatchQueue(label: "directory.open")

    init(settings: DirectorySettings, access: Access) {
        self.settings = settings
        self.access = access
    }

    func read<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(DirectoryError) -> Value {
        let pool = try await pool()
        do {
            return try await pool.read(body)
        } catch {
            // The query was interrupted for it, which says nothing about the database.
            if Task.isCancelled { throw .cancelled }
            throw failed(error, pool)
        }
    }

    /// A read for the operator: refusals (`DirectoryAdministrationError`) pass through.
    func administrationRead<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(DirectoryAdministrationError) -> Value {
        try await administer { pool in try await pool.read(body) }
    }

    /// Runs `body` in a transaction that is on disk when this returns. Refusals pass through, and undo it.
    func write<Value: Sendable>(
        _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(DirectoryAdministrationError) -> Value {
        try await administer { pool in try await pool.write(body) }
    }

    private func administer<Value: Sendable>(
        _ access: @Sendable (DatabasePool) async throws -> Value
    ) async throws(DirectoryAdministrationError) -> Value {
        let pool: DatabasePool
        do throws(DirectoryError) {
            pool = try await self.pool()
        } catch {
            throw .unavailable(error)
        }
        do {
            return try await access(pool)
        } catch let refusal as DirectoryAdministrationError {
            throw refusal
        } catch {
            throw .unavailable(failed(error, pool))
        }
    }

    /// Forgets a pool that gave an error, so that the database is opened afresh after the interval. A lock that did not
    /// go away in time says nothing against the pool.
    private func failed(_ error: any Error, _ pool: DatabasePool) -> DirectoryError {
        let failure = DirectoryError.unavailable("\(settings.path): \(error)")
        let isBroken = (error as? DatabaseError).map { $0.resultCode != .SQLITE_BUSY } ?? (error is RowDecodingError)
        guard isBroken else { return failure }
        state.withLock { state in
            guard state.pool === pool else { return }
            state = State(failure: failure, checked: .now)
        }
        return failure
    }

    private func pool() async throws(DirectoryError) -> DatabasePool {
        if let result = known() { return try result.get() }
        let result = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.opened()) }
        }
        return try result.get()
    }

    /// What the last look told, if it is recent enough.
    private func known() -> Result<DatabasePool, DirectoryError>? {
        state.withLock { state in
            guard let checked = state.checked, ContinuousClock.now - checked < settings.checkInterval else {
                return nil
            }
            if let pool = state.pool { return .success(pool) }
            return state.failure.map { .failure($0) }
        }
    }

    /// Looks whether the file is still the same, and opens it if not. On `queue` only.
    private func opened() -> Result<DatabasePool, DirectoryError> {
        if let result = known() { return result }
        let (pool, file) = state.withLock { ($0.pool, $0.file) }
        if let pool, let file, file == fileIdentity() {
            state.withLock { $0.checked = .now }
            return .success(pool)
        }
        do throws(DirectoryError) {
            let file = try existingFile()
            let pool = try open()
            state.withLock { $0 = State(pool: pool, file: file, checked: .now) }
            return .success(pool)
        } catch {
            state.withLock { $0 = State(failure: error, checked: .now) }
            return .failure(error)
        }
    }

    private func existingFile() throws(DirectoryError) -> FileIdentity {
        if access == .administration {
            // Password hashes are nobody else's business; SQLite gives its other files the same mode.
            let descriptor = Glibc.open(settings.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
            if descriptor >= 0 { close(descriptor) }
        }
        guard let file = fileIdentity() else {
            // SQLite would say no more than "unable to open database file".
            throw .unavailable("\(settings.path): \(String(cString: strerror(errno)))")
        }
        return file
    }

    private func open() throws(DirectoryError) -> DatabasePool {
        do {
            let pool = try DatabasePool(path: settings.path, configuration: configuration)
            try prepare(pool)
            return pool
        } catch {
            throw .unavailable("\(settings.path): \(error)")
        }
    }

    private func prepare(_ pool: DatabasePool) throws {
        let migrator = DirectorySchema.migrator
        if try pool.read(migrator.hasBeenSuperseded) {
            throw DatabaseError(message: "made by a newer version of this program")
        }
        guard access == .administration else {
            guard try pool.read(migrator.hasCompletedMigrations) else {
                throw DatabaseError(message: "not a directory yet, or one of an older version")
            }
            return
        }
        // An account that was acknowledged survives a power cut.
        try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        try migrator.migrate(pool)
    }

    private var configuration: Configuration {
        var configuration = Configuration()
        configuration.readonly = access == .frontend
        configuration.maximumReaderCount = max(1, settings.readersMax)
        let milliseconds = Int(settings.busyTimeout / .milliseconds(1))
        configuration.busyMode = .timeout(settings.busyTimeout / .seconds(1))
        // Readers would wait ten seconds, whatever the mode says.
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA busy_timeout = \(milliseconds)") }
        configuration.label = "directory"
        return configuration
    }

    private func fileIdentity() -> FileIdentity? {
        var status = stat()
        guard stat(settings.path, &status) == 0 else { return nil }
        return FileIdentity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }
}
