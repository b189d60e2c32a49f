using Google.Protobuf;
using Mesh.ControlPlane.Model;

namespace Mesh.ControlPlane.Translation;

/// <summary>Model and node in, one named resource out. Pure: the same input gives the same bytes.</summary>
internal interface IResourceTranslator
{
    /// <param name="typeUrl">One of Core's XdsTypes for listeners, routes, clusters and endpoints; others are answered with "does not exist".</param>
    /// <param name="name">Exactly as asked; the answer carries the same name.</param>
    TranslatedResource Translate(MeshModel model, NodeContext node, string typeUrl, string name);

    /// <summary>Whose endpoints <see cref="Translate"/> looks at for this name; null: not known, any.</summary>
    AnswerBasis? BasisOf(NodeContext node, string typeUrl, string name) => null;
}

/// <summary>A resource, or the reason why there is none under that name.</summary>
/// <param name="Message">Null when it does not exist.</param>
/// <param name="Reason">Why not; null when it exists.</param>
internal sealed record TranslatedResource(IMessage? Message, string? Reason);
