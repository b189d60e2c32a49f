namespace Mesh.Traffic;

/// <summary>What routing and policy see of a call: without HttpClient, without Kestrel.</summary>
internal abstract class RequestHead
{
    public abstract string Method { get; }

    /// <summary>Host with port as the caller wrote it.</summary>
    public abstract string Authority { get; }

    /// <summary>The path without query, with its leading slash.</summary>
    public abstract string Path { get; }

    /// <summary>The query without its question mark; may be empty.</summary>
    public abstract string Query { get; }

    /// <summary>The values of a header joined with <c>,</c>; null when absent. <c>:method</c>, <c>:path</c> and <c>:authority</c> are answered too.</summary>
    public abstract string? Header(string name);

    /// <summary>How many lines a header has: fields of one name that came apart.</summary>
    public virtual int Lines(string name) => Header(name) is null ? 0 : 1;

    /// <summary>One line of a header.</summary>
    /// <param name="index">Below <see cref="Lines"/>.</param>
    public virtual string Line(string name, int index) => Header(name) ?? string.Empty;

    /// <summary>A gRPC call: content type <c>application/grpc</c>.</summary>
    public bool IsGrpc => Header("content-type") is { } type && type.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase)
        && !type.StartsWith("application/grpc-web", StringComparison.OrdinalIgnoreCase);
}
