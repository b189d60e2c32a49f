using Google.Protobuf;

namespace Mesh.Xds;

/// <summary>What the client holds of one resource it asked for. Owned by the client's loop.</summary>
internal sealed class XdsResource(string name)
{
    public string Name { get; } = name;

    public XdsResourceStatus Status { get; set; } = XdsResourceStatus.Requested;

    /// <summary>The last valid content, a record of <c>Mesh.Config</c>; stays in use through later errors.</summary>
    public object? Model { get; set; }

    /// <summary>The bytes <see cref="Model"/> was made from, exactly as received.</summary>
    public ByteString Bytes { get; set; } = ByteString.Empty;

    /// <summary>The version of <see cref="Model"/>.</summary>
    public string Version { get; set; } = string.Empty;

    public DateTimeOffset LastUpdated { get; set; }

    /// <summary>Why the last update was refused, or why there is none; empty when all is well.</summary>
    public string Error { get; set; } = string.Empty;

    /// <summary>The version that was refused.</summary>
    public string ErrorVersion { get; set; } = string.Empty;

    /// <summary>Ends the waiting for a first answer.</summary>
    public ITimer? Timer { get; set; }

    public void StopTimer()
    {
        Timer?.Dispose();
        Timer = null;
    }
}

/// <summary>Names of the client status discovery service (CSDS).</summary>
internal enum XdsResourceStatus
{
    /// <summary>Asked for, no answer yet.</summary>
    Requested,

    /// <summary>There is none: the server said so, or said nothing for too long.</summary>
    DoesNotExist,

    /// <summary>The last update was accepted.</summary>
    Acked,

    /// <summary>The last update was refused; an earlier one may be in use.</summary>
    Nacked,

    /// <summary>The server said why it cannot send it.</summary>
    ReceivedError,
}

/// <summary>One line of the configuration dump.</summary>
/// <param name="Waiting">A does-not-exist timer runs.</param>
internal sealed record XdsResourceDump(
    string TypeUrl, string Name, XdsResourceStatus Status, string Version, ByteString Bytes, DateTimeOffset LastUpdated, string Error, string ErrorVersion, bool Waiting);

/// <summary>What can be said of a resource right now.</summary>
/// <param name="Model">Usable content; null when there is none.</param>
/// <param name="Failure">Why there is no content; null when it is there or simply not answered yet.</param>
/// <param name="Kind">What sort of answer this is.</param>
internal readonly record struct XdsAnswer(XdsAnswerKind Kind, object? Model, string Failure)
{
    public static XdsAnswer Pending { get; } = new(XdsAnswerKind.Pending, null, string.Empty);
}

/// <summary>The sorts of answers.</summary>
internal enum XdsAnswerKind
{
    /// <summary>None yet.</summary>
    Pending,

    /// <summary>None yet, and the control plane cannot be reached.</summary>
    Unreachable,

    /// <summary>There is no valid version.</summary>
    Failed,

    /// <summary>The resource does not exist.</summary>
    DoesNotExist,

    /// <summary>Content.</summary>
    Found,
}
