namespace Mesh.ControlPlane;

/// <summary>How telemetry is given on to a collector.</summary>
public enum OtlpProtocol
{
    /// <summary>By the address: <c>http/protobuf</c> on port 4318 or below a path, else <c>grpc</c>.</summary>
    Auto,

    /// <summary>OTLP/gRPC: <c>grpc</c>.</summary>
    Grpc,

    /// <summary>OTLP/HTTP with protobuf: <c>http/protobuf</c>.</summary>
    HttpProtobuf,
}
