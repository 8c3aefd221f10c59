// swift-tools-version: 6.2
import PackageDescription

// Small programs that `scripts/bench` measures with, apart from the product so that its build does not pay for them.
// `Modules` links to the product's sources.

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
    name: "benchmarks",
    dependencies: [.package(url: "https://github.com/apple/swift-nio", from: "2.101.0")],
    targets: [
        .target(name: "Mail", path: "Modules/Mail", swiftSettings: settings),
        .target(name: "Cluster", dependencies: ["Mail"], path: "Modules/Cluster", swiftSettings: settings),
        .executableTarget(
            name: "ring-lookup", dependencies: ["Mail", "Cluster"], path: "RingLookup", swiftSettings: settings),
        .executableTarget(
            name: "line-echo",
            dependencies: [
                .product(name: "NIOCore", package: "swift-nio"), .product(name: "NIOPosix", package: "swift-nio"),
            ],
            path: "LineEcho", swiftSettings: settings),
        .executableTarget(name: "bare-loop", path: "BareLoop", linkerSettings: [.linkedLibrary("pthread")]),
    ],
    swiftLanguageModes: [.v6]
)
