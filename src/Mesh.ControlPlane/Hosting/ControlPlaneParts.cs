using Google.Protobuf;
using Mesh.ControlPlane.Cluster;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Sources;
using Mesh.ControlPlane.Sources.Files;
using Mesh.ControlPlane.Translation;
using Mesh.Spiffe;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What a source is made from.</summary>
internal sealed record ModelSourceContext(MeshControlPlaneOptions Options, IMeshMarks Marks, ModelStore Store, TimeProvider Time, ILoggerFactory Loggers);

/// <summary>The parts that other rooms write, put together in one place.</summary>
internal sealed record ControlPlaneParts(
    Func<ModelSourceContext, IModelSource> Source, Func<MeshControlPlaneOptions, IResourceTranslator> Translator, Func<string, ByteString, DecodeResult> Decode)
{
    /// <summary>Which cluster the control plane runs in; null: in none, and its state is in its folder.</summary>
    public Func<MeshControlPlaneOptions, TimeProvider, ClusterSettings?> Cluster { get; init; } = static (_, _) => null;

    /// <summary>What objects of the cluster shall say of themselves.</summary>
    public Func<MeshModel, IReadOnlyList<ObjectStatus>> Statuses { get; init; } = static _ => [];

    /// <summary>Used by the program and by AddMeshControlPlane.</summary>
    public static ControlPlaneParts Default { get; } = new(
        static context => new FileSource(
            new FileSourceOptions { Folder = context.Options.ConfigFolder, TrustDomain = TrustDomain.Parse(context.Options.TrustDomain) },
            context.Marks, context.Store, context.Time, context.Loggers.CreateLogger<FileSource>()),
        static options => new ResourceTranslator(new TranslationOptions(TrustDomain.Parse(options.TrustDomain), options.ClusterDomain) { Defaults = options.Defaults }),
        ResourceDecoder.Decode);
}
