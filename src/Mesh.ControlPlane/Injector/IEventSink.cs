namespace Mesh.ControlPlane.Injector;

/// <summary>Takes what people should read in <c>kubectl describe</c> and <c>kubectl get events</c>. Thread-safe.</summary>
internal interface IEventSink
{
    /// <summary>Never waits and never fails: what can't be told is lost.</summary>
    void Report(EventSubject about, string reason, string message);
}

/// <summary>What an event is about.</summary>
/// <param name="Uid">Null where it is not known.</param>
internal sealed record EventSubject(string ApiVersion, string Kind, string Namespace, string Name, string? Uid);

/// <summary>Why an event of the injector was written.</summary>
internal static class EventReasons
{
    /// <summary>Somebody asked for the mesh, and the pod is not in it.</summary>
    public const string NotInjected = "MeshNotInjected";

    /// <summary>It is in the mesh, and something of it is not as somebody may think.</summary>
    public const string Warning = "MeshInjectionWarning";
}
