using Google.Protobuf;
using Mesh.ControlPlane.Model;
using Mesh.ControlPlane.Translation;
using Mesh.Xds.Decoding;

namespace Mesh.ControlPlane.Hosting;

/// <summary>What brings models in.</summary>
internal interface IModelSource : IAsyncDisposable
{
    /// <summary>Ends when the first model is published.</summary>
    Task StartAsync(CancellationToken cancellationToken);

    /// <summary>Something outside the source changed (marks): publish again.</summary>
    void Refresh();
}

/// <summary>What a source is made from.</summary>
internal sealed record ModelSourceContext(MeshControlPlaneOptions Options, IMeshMarks Marks, ModelStore Store, TimeProvider Time, ILoggerFactory Loggers);

/// <summary>The parts that other rooms write, put together in one place.</summary>
internal sealed record ControlPlaneParts(
    Func<ModelSourceContext, IModelSource> Source, Func<MeshControlPlaneOptions, IResourceTranslator> Translator, Func<string, ByteString, DecodeResult> Decode)
{
    /// <summary>Used by the program and by AddMeshControlPlane.</summary>
    public static ControlPlaneParts Default { get; } = new(
        static _ => new NoSource(), static _ => new NoTranslator(), ResourceDecoder.Decode);

    // Stand-ins until Sources and Translation are merged: an empty mesh.
    private sealed class NoSource : IModelSource
    {
        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public void Refresh()
        {
        }

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class NoTranslator : IResourceTranslator
    {
        public TranslatedResource Translate(MeshModel model, NodeContext node, string typeUrl, string name) => new(null, "the mesh is empty");
    }
}
