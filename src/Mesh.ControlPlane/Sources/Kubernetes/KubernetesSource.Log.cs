namespace Mesh.ControlPlane.Sources.Kubernetes;

internal sealed partial class KubernetesSource
{
    private static partial class Log
    {
        [LoggerMessage(EventId = 4240, EventName = nameof(ModelPublished), Level = LogLevel.Information,
            Message = "The cluster has {Services} services, {Routes} routes, {Workloads} workloads, {Problems} problems (model made in {Took})")]
        public static partial void ModelPublished(ILogger logger, int services, int routes, int workloads, int problems, TimeSpan took);

        [LoggerMessage(EventId = 4241, EventName = nameof(StepFailed), Level = LogLevel.Error, Message = "Making a model failed unexpectedly; the last one stays in force")]
        public static partial void StepFailed(ILogger logger, Exception exception);

        [LoggerMessage(EventId = 4242, EventName = nameof(ObjectUnreadable), Level = LogLevel.Error, Message = "{Where} can't be read; its last good version stays in force")]
        public static partial void ObjectUnreadable(ILogger logger, Exception exception, string where);
    }
}
