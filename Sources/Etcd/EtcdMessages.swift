import FoundationEssentials

/// A whole number of 64 bits: etcd's gateway writes it as text, and takes it so too.
struct EtcdInteger: Codable, Equatable {
    let value: Int64

    init(_ value: Int64) { self.value = value }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(Int64.self) {
            value = number
            return
        }
        guard let number = Int64(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "no 64-bit number")
        }
        value = number
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(String(value))
    }
}

/// What every answer begins with.
struct EtcdHeader: Decodable {
    let clusterID: String?
    let revision: EtcdInteger?

    enum CodingKeys: String, CodingKey {
        case clusterID = "cluster_id"
        case revision
    }
}

/// A key with its value. What is zero or empty is left out.
struct EtcdRecord: Decodable {
    let key: Data
    let value: Data?
    let modRevision: EtcdInteger?
    let lease: EtcdInteger?

    enum CodingKeys: String, CodingKey {
        case key, value, lease
        case modRevision = "mod_revision"
    }
}

struct RangeRequest: Encodable {
    var key: Data
    var rangeEnd: Data?
    var limit: EtcdInteger?
    var keysOnly: Bool?

    enum CodingKeys: String, CodingKey {
        case key, limit
        case rangeEnd = "range_end"
        case keysOnly = "keys_only"
    }
}

struct RangeAnswer: Decodable {
    let header: EtcdHeader?
    let kvs: [EtcdRecord]?
}

struct PutRequest: Encodable {
    var key: Data
    var value: Data
    var lease: EtcdInteger?
}

/// What a put or a revoke is answered with.
struct HeaderAnswer: Decodable {
    let header: EtcdHeader?
}

/// Puts a value if a key has the revision, and otherwise reads the key.
struct SwapRequest: Encodable {
    struct Compare: Encodable {
        let key: Data
        let target = "MOD"
        let result = "EQUAL"
        let revision: EtcdInteger

        enum CodingKeys: String, CodingKey {
            case key, target, result
            case revision = "mod_revision"
        }
    }

    struct Success: Encodable {
        let put: PutRequest
        enum CodingKeys: String, CodingKey { case put = "request_put" }
    }

    struct Failure: Encodable {
        let range: RangeRequest
        enum CodingKeys: String, CodingKey { case range = "request_range" }
    }

    let compare: [Compare]
    let success: [Success]
    let failure: [Failure]
}

struct SwapAnswer: Decodable {
    struct Response: Decodable {
        let range: RangeAnswer?
        enum CodingKeys: String, CodingKey { case range = "response_range" }
    }

    let header: EtcdHeader?
    let succeeded: Bool?
    let responses: [Response]?
}

/// Leases: etcd writes both names in capitals.
struct LeaseRequest: Encodable {
    var identity: EtcdInteger?
    var seconds: EtcdInteger?

    enum CodingKeys: String, CodingKey {
        case identity = "ID"
        case seconds = "TTL"
    }
}

struct LeaseAnswer: Decodable {
    let identity: EtcdInteger?
    let seconds: EtcdInteger?

    enum CodingKeys: String, CodingKey {
        case identity = "ID"
        case seconds = "TTL"
    }
}

struct LoginRequest: Encodable {
    let name: String
    let password: String
}

struct LoginAnswer: Decodable {
    let token: String
}

struct WatchRequest: Encodable {
    struct Create: Encodable {
        let key: Data
        let rangeEnd: Data
        let startRevision: EtcdInteger
        let reportsProgress = true
        let fragments = true

        enum CodingKeys: String, CodingKey {
            case key
            case rangeEnd = "range_end"
            case startRevision = "start_revision"
            case reportsProgress = "progress_notify"
            case fragments = "fragment"
        }
    }

    let create: Create
    enum CodingKeys: String, CodingKey { case create = "create_request" }
}

struct WatchAnswer: Decodable {
    struct Event: Decodable {
        /// `DELETE`; a put is left out.
        let type: String?
        let kv: EtcdRecord
    }

    let header: EtcdHeader?
    let created: Bool?
    let canceled: Bool?
    let reason: String?
    let compactRevision: EtcdInteger?
    let fragment: Bool?
    let events: [Event]?

    enum CodingKeys: String, CodingKey {
        case header, created, canceled, fragment, events
        case reason = "cancel_reason"
        case compactRevision = "compact_revision"
    }
}

/// One line of an answer that streams.
struct StreamLine<Result: Decodable>: Decodable {
    struct Failure: Decodable {
        let code: Int?
        let message: String?

        enum CodingKeys: String, CodingKey {
            case code = "grpc_code"
            case message
        }
    }

    let result: Result?
    let error: Failure?
}

/// What a request that failed is answered with.
struct FailureAnswer: Decodable {
    let code: Int
    let message: String
}
