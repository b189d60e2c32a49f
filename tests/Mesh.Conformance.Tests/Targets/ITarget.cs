using System.Net;

namespace Mesh.Conformance.Tests.Targets;

/// <summary>A server that is talked to, and the app that it stands for. To add one: implement this and add a line to <see cref="TargetKind"/>.</summary>
internal interface ITarget : IAsyncDisposable
{
    /// <summary>What receives the requests in the end, and tells what it received.</summary>
    RecordingApp App { get; }

    /// <summary>Where clients connect: connections to it are counted.</summary>
    EndPoint Address { get; }

    /// <summary>How long the server waits for a request's headers; null where that is not ours to set.</summary>
    TimeSpan? HeaderPatience { get; }

    Task<Stream> ConnectAsync();
}
