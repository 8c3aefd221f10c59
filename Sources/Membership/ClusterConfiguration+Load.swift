import Cluster
import Glibc
import Mail
import Yams

extension ClusterConfiguration {
    private static let fileBytesMax = 16 << 20

    /// Reads and checks the file. Throws everything that is wrong with it at once.
    ///
    /// - Parameter environment: for `${HAUBERK_HOME}`, which is `./.hauberk` if it is not there.
    package static func load(
        path: String, environment: [String: String] = processEnvironment()
    ) throws(ConfigurationError) -> ClusterConfiguration {
        guard let text = readFile(path) else {
            let reason = String(cString: strerror(errno))
            throw ConfigurationError([ConfigurationProblem(file: path, message: "cannot be read: \(reason)")])
        }
        return try parse(text, file: path, environment: environment)
    }

    /// Checks a configuration that is at hand as text.
    package static func parse(
        _ text: String, file: String, environment: [String: String] = [:]
    ) throws(ConfigurationError) -> ClusterConfiguration {
        let home = absolute(environment["HAUBERK_HOME"].flatMap { $0.isEmpty ? nil : $0 } ?? ".hauberk")
        var reader = ConfigurationReader(file: file, variables: ["HAUBERK_HOME": home])
        var configuration = ClusterConfiguration()
        configuration.home = home
        configuration.file = file
        if let root = try compose(text, file) {
            reader.at("", root) { $0.section(root, into: &configuration) }
        }
        configuration.resolve()
        configuration.check(&reader)
        guard reader.problems.isEmpty else { throw ConfigurationError(reader.problems) }
        configuration.warnings = configuration.foresight(reader)
        return configuration
    }

    static func compose(_ text: String, _ file: String) throws(ConfigurationError) -> Node? {
        do {
            return try Yams.compose(yaml: text)
        } catch let error as YamlError {
            throw ConfigurationError([problem(error, file)])
        } catch {
            throw ConfigurationError([ConfigurationProblem(file: file, message: "\(error)")])
        }
    }

    private static func problem(_ error: YamlError, _ file: String) -> ConfigurationProblem {
        switch error {
        case .scanner(_, let text, let mark, _), .parser(_, let text, let mark, _), .composer(_, let text, let mark, _):
            ConfigurationProblem(file: file, line: mark.line, column: mark.column, message: "no YAML: \(text)")
        case .duplicatedKeysInMapping(let keys, let context):
            ConfigurationProblem(
                file: file, line: context.mark.line, column: context.mark.column,
                message: "given more than once: \(keys.joined(separator: ", "))")
        default:
            ConfigurationProblem(file: file, message: "no YAML: \(error)")
        }
    }

    /// The environment of this process.
    package static func processEnvironment() -> [String: String] {
        guard let home = getenv("HAUBERK_HOME") else { return [:] }
        return ["HAUBERK_HOME": String(cString: home)]
    }

    private static func absolute(_ path: String) -> String {
        if path.hasPrefix("/") { return path }
        guard let buffer = getcwd(nil, 0) else { return path }
        defer { free(buffer) }
        let folder = String(cString: buffer)
        let rest = path.hasPrefix("./") ? String(path.dropFirst(2)) : path
        return folder == "/" ? "/\(rest)" : "\(folder)/\(rest)"
    }

    static func readFile(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while bytes.count <= fileBytesMax {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0 { return nil }
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes += chunk[..<count]
        }
        errno = EFBIG
        return nil
    }
}
