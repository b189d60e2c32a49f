using System.Text.Json.Nodes;

namespace Mesh.Testing.Kubernetes.Storage;

/// <summary>An object as it is kept. Never changed: what is to be changed is copied first.</summary>
internal sealed record StoredObject(JsonObject Json, long Version)
{
    public string Namespace => Json.Namespace();

    public string Name => Json.Name();

    public string Key => KeyOf(Namespace, Name);

    public static string KeyOf(string ns, string name) => $"{ns}/{name}";
}

/// <summary>One write. <paramref name="After"/> is null when the object is gone; <paramref name="Last"/> is then what it was, at the version of its end.</summary>
internal sealed record StoreEvent(long Version, string Table, StoredObject? Before, StoredObject? After, StoredObject Last);
