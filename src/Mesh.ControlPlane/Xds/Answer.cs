using Google.Protobuf.WellKnownTypes;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Xds;

/// <summary>What a name stands for, for one kind of node: shared by all streams that ask the same.</summary>
/// <param name="Version">Short hash of the bytes: the same after a restart. Empty when there is no resource.</param>
/// <param name="Resource">Null when it does not exist or was refused by our own check.</param>
/// <param name="Reason">Why there is none.</param>
/// <param name="IsInvalid">Our own decoder refused it: what was sent before stays.</param>
internal sealed record Answer(string Version, Any? Resource, string? Reason, bool IsInvalid)
{
    /// <summary>Of a resource of the model its name, the same object for all who hold the answer.</summary>
    public string? Name { get; init; }

    /// <summary>What must change in a model before the answer can; null: anything may change it.</summary>
    public AnswerBasis? Basis { get; init; }

    public bool Exists => Resource is not null;

    public static Answer Missing(string? reason) => new(string.Empty, null, reason, false);
}
